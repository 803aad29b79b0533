// Lists the OAuth sessions that the reference server holds for an account.
//
//   NODE sessions.mjs DATA_DIR DID [--cache DIR]
//
// DATA_DIR is the one server.mjs was given. One line of JSON goes to stdout:
//
//   [{"client_id":"…","scope":"…","refresh_token":"…","token_id":"…"}]
//
// Read from the server's own table, which knows two things that its web API does
// not tell: that a revoked session is really gone (revoking deletes the row), and
// the refresh token itself, so that a test can look for it where it must not be.
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { cache: { type: 'string', default: process.env.SENDOFF_REAL_CACHE } },
})
if (positionals.length !== 2 || !options.cache) {
  console.error('usage: sessions.mjs DATA_DIR DID --cache DIR')
  process.exit(2)
}
const [dataDir, did] = positionals
const require = createRequire(join(resolve(options.cache), 'package.json'))
const Database = require('better-sqlite3')

const database = new Database(join(dataDir, 'account.sqlite'), { readonly: true, fileMustExist: true })
const rows = database.prepare('select clientId, scope, currentRefreshToken, tokenId from token where did = ?').all(did)
database.close()
const sessions = rows.map((row) => ({
  client_id: row.clientId,
  scope: row.scope,
  refresh_token: row.currentRefreshToken,
  token_id: row.tokenId,
}))
process.stdout.write(`${JSON.stringify(sessions)}\n`)
