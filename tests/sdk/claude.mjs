// What apps do with Anthropic's SDK for Node, over Bursar's socket: node claude.mjs SOCKET.

import {
  ERRORS, KEY, PIXEL, RESULT, SCHEMA, SYSTEM, UPSTREAMS, WEATHER, dispatcher, model, require, says, tell,
} from './shared.mjs'

const { Anthropic, APIError } = require('@anthropic-ai/sdk')
const TOOL = { name: 'get_weather', description: 'The weather of a city', input_schema: SCHEMA }

const client = new Anthropic({ baseURL: 'http://bursar', apiKey: KEY, maxRetries: 0, fetchOptions: { dispatcher } })
const asks = (upstream, check, more = {}) => ({ model: model(upstream, check), max_tokens: 100, ...more })

function answer({ content, stop_reason: finish, usage }) {
  const text = content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
  return { text, finish, input: usage.input_tokens, output: usage.output_tokens }
}

function theCall({ content, stop_reason: finish }) {
  const { name, input } = content.find(({ type }) => type === 'tool_use')
  return { name, arguments: input, finish }
}

async function chat(upstream) {
  const asked = asks(upstream, 'chat', { system: SYSTEM, messages: says('Hello') })
  tell(`chat ${upstream}`, answer(await client.messages.create(asked)))
}

async function stream(upstream) {
  const events = client.messages.stream(asks(upstream, 'stream', { messages: says('one two three') }))
  let text = ''
  events.on('text', (piece) => { text += piece })
  tell(`stream ${upstream}`, { ...answer(await events.finalMessage()), text })
}

async function tools(upstream) {
  const asked = asks(upstream, 'tools', { tools: [TOOL] })
  const messages = says('The weather of Oslo?')
  const reply = await client.messages.create({ ...asked, messages })
  const { id } = reply.content.find(({ type }) => type === 'tool_use')
  const result = { type: 'tool_result', tool_use_id: id, content: JSON.stringify(RESULT) }
  messages.push({ role: 'assistant', content: reply.content }, ...says([result]))
  const after = await client.messages.create({ ...asked, messages })
  tell(`tools ${upstream}`, { ...theCall(reply), then: answer(after).text })
}

async function streamedCall(upstream) {
  const events = client.messages.stream(asks(upstream, 'call', { messages: says('Oslo?'), tools: [TOOL] }))
  tell(`call ${upstream}`, theCall(await events.finalMessage()))
}

async function structured(upstream) {
  const output_config = { format: { type: 'json_schema', schema: WEATHER } }
  const reply = await client.messages.create(asks(upstream, 'json', { messages: says('Oslo?'), output_config }))
  tell(`json ${upstream}`, JSON.parse(answer(reply).text))
}

async function image(upstream) {
  const source = { type: 'base64', media_type: 'image/png', data: PIXEL }
  const messages = says([{ type: 'image', source }, { type: 'text', text: 'What is it?' }])
  tell(`image ${upstream}`, answer(await client.messages.create(asks(upstream, 'image', { messages }))).text)
}

async function models() {
  const listed = []
  for await (const { id } of client.models.list()) listed.push(id)
  tell('models', listed.filter((id) => id.startsWith('sandbox/') || id === 'fast'))
  tell('model', (await client.models.retrieve('sandbox/echo')).id)
}

async function error(check, name) {
  try {
    await client.messages.create({ model: name, max_tokens: 100, messages: says('Hello') })
  } catch (found) {
    if (!(found instanceof APIError)) throw found
    tell(check, { class: found.constructor.name, status: found.status, kind: found.error?.error?.type ?? null })
    return
  }
  tell(check, 'no error')
}

for (const check of [chat, stream, tools, streamedCall, structured, image]) {
  for (const upstream of UPSTREAMS) await check(upstream)
}
await models()
await error('unknown model', 'nowhere')
for (const upstream of UPSTREAMS) {
  for (const check of ERRORS) await error(`${check} ${upstream}`, model(upstream, check))
}
await dispatcher.destroy()
