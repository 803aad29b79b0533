// Proves install.sh, server.mjs and consent.mjs without the product: a small OAuth
// client of its own connects (PAR, PKCE, DPoP), publishes, reads back and revokes.
//
//   NODE selfcheck.mjs PDS_URL HANDLE PASSWORD
//
// When real_bluesky.rs fails and this passes, the fault is ours, not the servers'.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const [pds, handle, password] = process.argv.slice(2)
if (!password) {
  console.error('usage: selfcheck.mjs PDS_URL HANDLE PASSWORD')
  process.exit(2)
}
const consentScript = fileURLToPath(new URL('consent.mjs', import.meta.url))
const say = (text) => console.log(`selfcheck: ${text}`)
const b64 = (data) => Buffer.from(data).toString('base64url')
const sha256 = (data) => createHash('sha256').update(data).digest('base64url')
const getJson = async (url) => (await fetch(url)).json()

const { authorization_servers: [issuer] } = await getJson(`${pds}/.well-known/oauth-protected-resource`)
const meta = await getJson(`${issuer}/.well-known/oauth-authorization-server`)
assert.equal(meta.issuer, issuer)

// The client: a tiny origin of its own with a cookie at /connect, as the product has.
let authorizeUrl
const arrived = []
const client = createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1')
  if (url.pathname === '/connect/ticket') {
    response.writeHead(303, { 'set-cookie': 'browser=mine; HttpOnly; SameSite=Lax; Path=/', location: authorizeUrl }).end()
  } else {
    arrived.push({ query: Object.fromEntries(url.searchParams), cookie: request.headers.cookie })
    response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Back &amp; done</title>')
  }
})
client.listen(0, '127.0.0.1')
await once(client, 'listening')
const origin = `http://127.0.0.1:${client.address().port}`

/** One connection attempt or session: its key, its nonces, its tokens. */
class Session {
  key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  nonces = new Map()
  scope = 'atproto repo:app.bsky.feed.post blob:*/*'
  redirect = `${origin}/callback`
  id = `http://localhost?redirect_uri=${encodeURIComponent(this.redirect)}&scope=${encodeURIComponent(this.scope)}`
  verifier = b64(randomBytes(32))
  state = b64(randomBytes(16))

  proof(method, url, token) {
    const { kty, crv, x, y } = this.key.publicKey.export({ format: 'jwk' })
    const nonce = this.nonces.get(new URL(url).origin)
    const head = b64(JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }))
    const body = b64(JSON.stringify({
      jti: b64(randomBytes(12)), htm: method, htu: url.split('?')[0], iat: Math.floor(Date.now() / 1000),
      ...(nonce && { nonce }), ...(token && { ath: sha256(token) }),
    }))
    const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: this.key.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${head}.${body}.${b64(signature)}`
  }

  /** Repeats once when the server asks for its nonce. */
  async call(method, url, { form, json, token } = {}) {
    for (let attempt = 0; ; attempt += 1) {
      const response = await fetch(url, {
        method,
        headers: {
          dpop: this.proof(method, url, token),
          ...(token && { authorization: `DPoP ${token}` }),
          ...(json && { 'content-type': 'application/json' }),
        },
        body: form ? new URLSearchParams(form) : json && JSON.stringify(json),
      })
      const nonce = response.headers.get('dpop-nonce')
      if (nonce) this.nonces.set(new URL(url).origin, nonce)
      const body = await response.json()
      if (body.error === 'use_dpop_nonce' && attempt === 0) continue
      return { status: response.status, body }
    }
  }

  async push() {
    const { status, body } = await this.call('POST', meta.pushed_authorization_request_endpoint, {
      form: {
        client_id: this.id, response_type: 'code', redirect_uri: this.redirect, scope: this.scope, state: this.state,
        code_challenge: sha256(this.verifier), code_challenge_method: 'S256', login_hint: handle,
      },
    })
    assert.equal(status, 201, JSON.stringify(body))
    authorizeUrl = `${meta.authorization_endpoint}?client_id=${encodeURIComponent(this.id)}&request_uri=${encodeURIComponent(body.request_uri)}`
  }

  async redeem(query) {
    assert.equal(query.state, this.state)
    assert.equal(query.iss, issuer)
    const { status, body } = await this.call('POST', meta.token_endpoint, {
      form: { grant_type: 'authorization_code', client_id: this.id, redirect_uri: this.redirect, code: query.code, code_verifier: this.verifier },
    })
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }
}

const consent = async (...args) => JSON.parse((await promisify(execFile)(process.execPath, [consentScript, ...args])).stdout)

try {
  const denied = new Session()
  await denied.push()
  await consent(`${origin}/connect/ticket`, handle, password, '--deny')
  assert.equal(arrived.at(-1).query.error, 'access_denied')
  assert.equal(arrived.at(-1).query.state, denied.state)
  say('a refusal comes back as access_denied')

  const pasted = new Session()
  await pasted.push()
  const before = arrived.length
  const { callback } = await consent(authorizeUrl, handle, password, '--print-callback', '--scope', 'atproto')
  assert.equal(arrived.length, before, 'the callback must not have been asked for')
  assert.equal((await pasted.redeem(Object.fromEntries(new URL(callback).searchParams))).scope, 'atproto')
  say('--print-callback stops before the callback, --scope grants less')

  const session = new Session()
  await session.push()
  const page = await consent(`${origin}/connect/ticket`, handle, password)
  assert.deepEqual(page, { status: 200, title: 'Back & done', url: `${origin}/callback` })
  assert.equal(arrived.at(-1).cookie, 'browser=mine', 'our own cookie must come back to us, and nothing else')
  const grant = await session.redeem(arrived.at(-1).query)
  assert.equal(grant.token_type, 'DPoP')
  say(`connected ${grant.sub} with ${grant.scope}`)

  const place = { repo: grant.sub, collection: 'app.bsky.feed.post', rkey: '3m6abcdefgh2k' }
  const record = { $type: place.collection, text: 'hello from the self-check', createdAt: new Date().toISOString() }
  const put = () => session.call('POST', `${pds}/xrpc/com.atproto.repo.putRecord`, { token: grant.access_token, json: { ...place, record, swapRecord: null } })
  const first = await put()
  assert.equal(first.body.validationStatus, 'valid', JSON.stringify(first.body))
  assert.equal((await put()).body.cid, first.body.cid)
  const read = await getJson(`${pds}/xrpc/com.atproto.repo.getRecord?${new URLSearchParams(place)}`)
  assert.equal(read.value.text, record.text)
  say('published once, twice the same, and read back')

  assert.equal((await session.call('POST', `${pds}/xrpc/com.atproto.repo.deleteRecord`, { token: grant.access_token, json: place })).status, 200)
  assert.equal((await getJson(`${pds}/xrpc/com.atproto.repo.getRecord?${new URLSearchParams(place)}`)).error, 'RecordNotFound')
  assert.equal((await session.call('POST', meta.revocation_endpoint, { form: { client_id: session.id, token: grant.refresh_token } })).status, 200)
  assert.equal((await put()).status, 401)
  const refresh = await session.call('POST', meta.token_endpoint, { form: { grant_type: 'refresh_token', client_id: session.id, refresh_token: grant.refresh_token } })
  assert.equal(refresh.body.error, 'invalid_grant')
  say('deleted, revoked, and refused after that')
} finally {
  client.close()
  client.closeAllConnections()
}
