// Boots the Bluesky reference server and its PLC directory on loopback.
//
//   NODE server.mjs DATA_DIR [--cache DIR] [--host localhost|127.0.0.1] [--public ORIGIN] [--until-stdin-ends] [--verbose]
//
// NODE is the one that install.sh put into the cache; the cache is --cache or
// SENDOFF_REAL_CACHE. When both servers answer and the accounts exist, one line
// of JSON goes to stdout, and nothing else ever does:
//
//   {"event":"ready","pds":URL,"direct":ADDRESS,"plc":URL,"accounts":[{"handle","did","password"}]}
//
// SIGTERM or SIGINT ends it with exit code 0, and with --until-stdin-ends so does
// the death of whoever holds the other end of its standard input. The PLC directory
// keeps its data in memory, so a second run on the same DATA_DIR would not know its
// own accounts: give a fresh one each time.
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const HANDLES = ['acme.test', 'alice.test']

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string', default: process.env.SENDOFF_REAL_CACHE },
    // `localhost` is what the server itself uses in development; the other spares name resolution.
    host: { type: 'string', default: 'localhost' },
    // Where others reach it, if something stands in front of it.
    public: { type: 'string' },
    'until-stdin-ends': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})
if (positionals.length !== 1 || !options.cache || !['localhost', '127.0.0.1'].includes(options.host)) {
  console.error('usage: server.mjs DATA_DIR --cache DIR [--host localhost|127.0.0.1] [--public ORIGIN] [--until-stdin-ends] [--verbose]')
  process.exit(2)
}
const dataDir = resolve(positionals[0])

// Stdout belongs to the ready line alone, whatever the packages print.
console.log = console.info = console.debug = console.error
// Read when @atproto/common is loaded, hence before the imports below.
process.env.LOG_ENABLED = String(options.verbose)
process.env.LOG_DESTINATION = '/dev/stderr'

const require = createRequire(join(resolve(options.cache), 'package.json'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const { PDS, envToCfg, envToSecrets } = await load('@atproto/pds')
const { PlcServer, Database: PlcDatabase } = require('@did-plc/server')

/**
 * A bound server that an express app can be handed to later. Both products call
 * `app.listen(port)`, which binds every interface and needs the port beforehand;
 * this binds 127.0.0.1 first and so has a free port without a race.
 */
async function bindLoopback() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: server.address().port,
    adopt(app) {
      app.listen = () => {
        server.on('request', app)
        setImmediate(() => server.emit('listening'))
        return server
      }
    },
  }
}

const plcSocket = await bindLoopback()
const plc = PlcServer.create({ db: PlcDatabase.mock(), port: plcSocket.port })
plcSocket.adopt(plc.app)
await plc.start()
const plcUrl = `http://127.0.0.1:${plcSocket.port}`

const actorStoreDirectory = join(dataDir, 'actors')
const blobstoreDiskLocation = join(dataDir, 'blobs')
const blobstoreDiskTmpLocation = join(dataDir, 'blobs-tmp')
for (const dir of [actorStoreDirectory, blobstoreDiskLocation, blobstoreDiskTmpLocation]) {
  await mkdir(dir, { recursive: true })
}
const pdsSocket = await bindLoopback()
const env = {
  port: pdsSocket.port,
  hostname: 'localhost', // makes the public address http://localhost:PORT and `.test` the handle domain
  serviceHandleDomains: ['.test'],
  dataDirectory: dataDir,
  actorStoreDirectory,
  blobstoreDiskLocation,
  blobstoreDiskTmpLocation,
  didPlcUrl: plcUrl,
  devMode: true,
  disableSsrfProtection: true, // else it refuses to read its own loopback addresses
  inviteRequired: false,
  rateLimitsEnabled: false,
  serviceName: 'Reference server',
  dpopSecret: randomBytes(32).toString('hex'),
  jwtSecret: randomBytes(32).toString('hex'),
  adminPassword: randomBytes(16).toString('hex'),
  plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
}
const config = envToCfg(env)
const direct = `127.0.0.1:${pdsSocket.port}`
const pdsUrl = options.public ?? `http://${options.host}:${pdsSocket.port}`
config.service.publicUrl = pdsUrl
if (config.oauth) config.oauth.issuer = pdsUrl
const pds = await PDS.create(config, envToSecrets(env))
pdsSocket.adopt(pds.app)
await pds.start()

const adminPassword = Buffer.from(`admin:${env.adminPassword}`).toString('base64')

async function call(method, body, headers = {}) {
  const response = await fetch(`http://127.0.0.1:${pdsSocket.port}/xrpc/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`\`${method}\` was refused with ${response.status}: ${text}`)
  return text ? JSON.parse(text) : undefined
}

/**
 * Makes an account the way an app does. The server reserves names such as `acme`
 * at sign-up and lets only its administrator hand them out, hence the second step.
 */
async function createAccount(handle) {
  const name = handle.split('.')[0]
  const password = `${name}-${randomBytes(8).toString('hex')}`
  const email = `${name}@example.com`
  const { did } = await call('com.atproto.server.createAccount', { handle: `new-${handle}`, email, password })
  await call('com.atproto.admin.updateAccountHandle', { did, handle }, { authorization: `Basic ${adminPassword}` })
  return { handle, did, password }
}
const accounts = []
for (const handle of HANDLES) accounts.push(await createAccount(handle))

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  try {
    await pds.destroy()
    await plc.destroy()
    process.exit(0)
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
if (options['until-stdin-ends']) process.stdin.on('end', stop).resume()

process.stdout.write(`${JSON.stringify({ event: 'ready', pds: pdsUrl, direct, plc: plcUrl, accounts })}\n`)
