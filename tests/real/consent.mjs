// Says yes (or no) on the reference server's consent page, as a person with a browser would.
//
//   node consent.mjs START_URL HANDLE PASSWORD [--deny] [--scope "a b"] [--print-callback]
//
// START_URL is the product's short link (/connect/TICKET) or the authorization
// page itself. Redirects are followed with a cookie jar, the sign-in and the
// consent are given, and the browser's way back is walked to its last page:
//
//   {"status":200,"title":"…","url":"http://127.0.0.1:…"}
//
// --print-callback stops one step earlier, with the address that the browser
// would have asked for next: {"callback":"http://127.0.0.1:…?iss=…&state=…&code=…"}.
// --scope grants only these of the scopes asked for. Exit code 0 unless the way
// broke off before the callback. Needs nothing but Node.js 18 or newer.
//
// What the page does behind its buttons (@atproto/oauth-provider 0.22):
// - GET /oauth/authorize sets three cookies: `dev-id` and `ses-id` (the device, both
//   HttpOnly), `csrf-token` (readable by the page). It wants the Sec-Fetch headers.
// - The buttons are JSON POSTs below /@atproto/oauth-provider/~api. Each wants the
//   csrf cookie repeated as `x-csrf-token`, Sec-Fetch-Mode and -Site `same-origin`,
//   and the page's full address as Referer: the pending request is taken from there.
// - /sign-in {locale, username, password, remember} → {account, ephemeralToken}, and
//   changes the device cookies. The token is missing when `remember` is true: then
//   the device cookies speak for the account.
// - /consent {did, scope?} with `Authorization: Bearer ephemeralToken` → {url};
//   /reject {} → {url}. A refusal also answers with a url, carrying `error`.
// - That url is /oauth/authorize/redirect on the same server. It answers 303 to the
//   client's callback, and only to a navigation that comes from the page.
import { request } from 'node:http'
import { parseArgs } from 'node:util'

const API = '/@atproto/oauth-provider/~api'
const MAX_HOPS = 10

/** The site of a loopback address is its host: ports do not part sites. */
const siteOf = (url) => `${url.protocol}//${url.hostname}`

/** Cookies as browsers keep them: per host whatever the port, with Path and SameSite. */
class Jar {
  #cookies = new Map()

  store(url, lines = []) {
    for (const line of lines) {
      const [pair, ...rest] = line.split(';').map((part) => part.trim())
      const cut = pair.indexOf('=')
      const [name, value] = [pair.slice(0, cut), pair.slice(cut + 1)]
      const attributes = new Map(rest.map((part) => {
        const at = part.indexOf('=')
        return at < 0 ? [part.toLowerCase(), ''] : [part.slice(0, at).toLowerCase(), part.slice(at + 1)]
      }))
      // The prefixes promise https, which a browser does not see on loopback http.
      if (/^__(Host|Secure)-/.test(name) && url.protocol !== 'https:') continue
      if (attributes.has('domain')) throw new Error(`the cookie \`${name}\` of ${url.origin} names a domain`)
      const path = attributes.get('path') || url.pathname.slice(0, url.pathname.lastIndexOf('/')) || '/'
      const key = `${url.hostname} ${path} ${name}`
      const expires = attributes.has('expires') ? Date.parse(attributes.get('expires')) : Infinity
      const gone = attributes.has('max-age') ? Number(attributes.get('max-age')) <= 0 : expires <= Date.now()
      if (gone) this.#cookies.delete(key)
      else this.#cookies.set(key, { host: url.hostname, path, name, value, sameSite: attributes.get('samesite')?.toLowerCase() })
    }
  }

  /** The Cookie header of one request; SameSite=Strict stays home when the way crossed sites. */
  header(url, crossSite) {
    const fits = (path) => url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
    return [...this.#cookies.values()]
      .filter((it) => it.host === url.hostname && fits(it.path) && !(crossSite && it.sameSite === 'strict'))
      .map((it) => `${it.name}=${it.value}`).join('; ')
  }

  get(url, name) {
    return [...this.#cookies.values()].find((it) => it.host === url.hostname && it.name === name)?.value
  }
}

const jar = new Jar()

/** One request, redirects not followed. Node's fetch would overwrite the Sec-Fetch headers. */
function send(method, url, { headers = {}, body, crossSite = false } = {}) {
  if (url.protocol !== 'http:' || !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
    throw new Error(`${url.origin} is not plain http on loopback`)
  }
  const cookie = jar.header(url, crossSite)
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method,
      headers: {
        'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) consent script',
        'accept-language': 'en',
        ...(cookie && { cookie }),
        ...headers,
      },
    }, (incoming) => {
      const chunks = []
      incoming.on('data', (chunk) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        jar.store(url, incoming.headers['set-cookie'])
        resolve({ status: incoming.statusCode, headers: incoming.headers, text: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** What Sec-Fetch-Site says of a request whose way led over these addresses; typed in by hand is `none`. */
function fetchSite(way) {
  const target = way.at(-1)
  if (way[0] === undefined) return 'none'
  if (way.some((url) => siteOf(url) !== siteOf(target))) return 'cross-site'
  return way.every((url) => url.origin === target.origin) ? 'same-origin' : 'same-site'
}

/**
 * A top-level navigation with its redirects, from the page `from` or typed in.
 * `stopAt(url)` may end it before that address is asked for.
 */
async function navigate(start, { from, stopAt = () => false } = {}) {
  let url = new URL(start)
  const way = [from]
  for (let hop = 0; hop < MAX_HOPS; hop += 1) {
    if (stopAt(url)) return { url }
    way.push(url)
    const site = fetchSite(way)
    const answer = await send('GET', url, {
      crossSite: site === 'cross-site',
      headers: {
        accept: 'text/html,application/xhtml+xml',
        'sec-fetch-dest': 'document',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-site': site,
        ...(from && { referer: from.origin === url.origin ? from.href : `${from.origin}/` }),
      },
    })
    if (![301, 302, 303, 307, 308].includes(answer.status)) return { url, ...answer }
    url = new URL(answer.headers.location, url)
  }
  throw new Error(`more than ${MAX_HOPS} redirects from ${start}`)
}

const decode = (text) => text.replace(/&(amp|lt|gt|quot|#0*39|#x0*27);/gi, (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name.toLowerCase()] ?? "'")
const titleOf = (html) => decode(html.match(/<title[^>]*>([^<]*)<\/title>/i)?.[1].trim() ?? '')

/** A button of the page at `page`: the JSON call behind it. */
async function press(page, endpoint, input, bearer) {
  const answer = await send('POST', new URL(API + endpoint, page), {
    body: JSON.stringify(input),
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      origin: page.origin,
      referer: page.href,
      'sec-fetch-dest': 'empty',
      'sec-fetch-mode': 'same-origin',
      'sec-fetch-site': 'same-origin',
      'x-csrf-token': jar.get(page, 'csrf-token') ?? '',
      ...(bearer && { authorization: `Bearer ${bearer}` }),
    },
  })
  if (answer.status !== 200) throw new Error(`${endpoint} answered ${answer.status}: ${answer.text}`)
  return JSON.parse(answer.text)
}

async function main() {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      deny: { type: 'boolean', default: false },
      scope: { type: 'string' },
      'print-callback': { type: 'boolean', default: false },
    },
  })
  if (positionals.length !== 3) {
    console.error('usage: consent.mjs START_URL HANDLE PASSWORD [--deny] [--scope "a b"] [--print-callback]')
    process.exit(2)
  }
  const [start, handle, password] = positionals

  const page = await navigate(start)
  if (page.status !== 200 || page.url.pathname !== '/oauth/authorize') {
    throw new Error(`no consent page: ${page.url.href} answered ${page.status} \`${titleOf(page.text)}\``)
  }

  let answer
  if (options.deny) {
    answer = await press(page.url, '/reject', {})
  } else {
    const { account, ephemeralToken } = await press(page.url, '/sign-in', { locale: 'en', username: handle, password, remember: false })
    const scope = options.scope === undefined ? {} : { scope: options.scope }
    answer = await press(page.url, '/consent', { did: account.did, ...scope }, ephemeralToken)
  }

  const stopAt = (url) => options['print-callback'] && url.origin !== page.url.origin
  const end = await navigate(answer.url, { from: page.url, stopAt })
  if (end.status === undefined) {
    process.stdout.write(`${JSON.stringify({ callback: end.url.href })}\n`)
    return
  }
  if (end.url.origin === page.url.origin) {
    throw new Error(`the server kept the browser: ${end.url.pathname} answered ${end.status} \`${titleOf(end.text)}\``)
  }
  process.stdout.write(`${JSON.stringify({ status: end.status, title: titleOf(end.text), url: end.url.origin + end.url.pathname })}\n`)
}

await main().catch((error) => {
  console.error(`consent: ${error.message}`)
  process.exit(1)
})
