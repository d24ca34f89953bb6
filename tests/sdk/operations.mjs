// What else apps do with OpenAI's SDK for Node, over Bursar's socket: node operations.mjs SOCKET.

import { KEY, dispatcher, model, require, tell } from './shared.mjs'

const { OpenAI, APIError, toFile } = require('openai')
const client = new OpenAI({ baseURL: 'http://bursar/v1', apiKey: KEY, maxRetries: 0, fetchOptions: { dispatcher } })
const counted = (usage) => ({ input: usage.input_tokens, output: usage.output_tokens })

async function responses() {
  const reply = await client.responses.create({ model: model('openai', 'responses'), input: 'Hello', store: false })
  tell('responses', { text: reply.output_text, status: reply.status, ...counted(reply.usage) })
}

async function responsesStream() {
  const asked = { model: model('openai', 'responses-stream'), input: 'one two', stream: true }
  let text = '', last = null
  for await (const event of await client.responses.create(asked)) {
    last = event
    if (event.type === 'response.output_text.delta') text += event.delta
  }
  tell('responses stream', { text, end: last.type, ...counted(last.response.usage) })
}

async function images() {
  const reply = await client.images.generate({ model: model('openai', 'images'), prompt: 'A cat', n: 1 })
  tell('images', { data: reply.data[0].b64_json, ...counted(reply.usage) })
}

async function speech() {
  const asked = { model: model('openai', 'speech'), voice: 'alloy', input: 'Hello' }
  const reply = await client.audio.speech.create(asked)
  tell('speech', { bytes: [...new Uint8Array(await reply.arrayBuffer())], type: reply.headers.get('content-type') })
}

async function transcription() {
  const bytes = Uint8Array.from({ length: 256 * 64 }, (_, index) => index % 256)
  const file = await toFile(bytes, 'hello.wav', { type: 'audio/wav' })
  const asked = { model: model('openai', 'transcription'), file, language: 'en' }
  tell('transcription', (await client.audio.transcriptions.create(asked)).text)
}

async function moderation() {
  const reply = await client.moderations.create({ model: model('openai', 'moderation'), input: 'Hello' })
  tell('moderation', { flagged: reply.results[0].flagged })
}

async function error(check, call) {
  try {
    await call()
  } catch (found) {
    if (!(found instanceof APIError)) throw found
    tell(check, { class: found.constructor.name, status: found.status, kind: found.code })
    return
  }
  tell(check, 'no error')
}

for (const check of [responses, responsesStream, images, speech, transcription, moderation]) await check()
await error('unknown model', () => client.responses.create({ model: 'nowhere', input: 'Hello' }))
await error('no such operation', () => client.images.generate({ model: model('gemini', 'chat'), prompt: 'A cat' }))
await error('caller', () => client.responses.create({ model: model('openai', 'caller'), input: 'Hello' }))
await dispatcher.destroy()
