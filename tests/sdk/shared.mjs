// What the scripts for Node share: their packages, the way to the socket, how a check is told, what is asked for.

import { createRequire } from 'node:module'

// The packages are in the folder that BURSAR_TEST_NODE_MODULES names.
export const require = createRequire(`${process.env.BURSAR_TEST_NODE_MODULES}/checks.js`)
const { Agent, fetch: undiciFetch } = require('undici')

// node SCRIPT [FLAVOUR] SOCKET
export const flavour = process.argv.at(-2)
export const dispatcher = new Agent({ connect: { socketPath: process.argv.at(-1) } })
export const fetch = (url, options) => undiciFetch(url, { ...options, dispatcher })
export const tell = (check, got) => console.log(JSON.stringify({ check, got }))
export const says = (content) => [{ role: 'user', content }]
export const model = (upstream, check) => `${upstream}-${check}/m`

// SDKs insist on a key; nobody may ever see it.
export const KEY = 'sk-client-canary'
export const UPSTREAMS = ['openai', 'anthropic', 'gemini']
export const ERRORS = ['caller', 'rate', 'credential']
export const SYSTEM = 'Be brief'
export const RESULT = { degrees: 7 }
const object = (properties) =>
  ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false })
export const SCHEMA = object({ city: { type: 'string' } })
export const WEATHER = object({ city: { type: 'string' }, degrees: { type: 'integer' } })
// One white pixel.
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg=='

// What is told of vectors.
export function shortly(vectors) {
  const same = JSON.stringify(vectors[0]) === JSON.stringify(vectors[1])
  return { count: vectors.length, first: vectors[0].slice(0, 2).map((value) => value.toFixed(6)), same }
}
