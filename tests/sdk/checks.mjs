// What apps do with OpenAI's SDK for Node, over Bursar's socket: node checks.mjs SOCKET.
//
// One line of JSON a check: {"check": NAME, "got": FACTS}. What the facts must be stands in tests/sdk.rs.

import { KEY, SCHEMA, WEATHER, dispatcher, require, says, shortly, tell } from './shared.mjs'

const { OpenAI, APIError } = require('openai')

const UPSTREAMS = ['openai', 'anthropic', 'gemini', 'sandbox']
const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    strict: true,
    parameters: SCHEMA,
  },
}

const client = new OpenAI({ baseURL: 'http://bursar/v1', apiKey: KEY, fetchOptions: { dispatcher } })

const counted = (usage) => ({ input: usage.prompt_tokens, output: usage.completion_tokens })

function model(upstream, check) {
  if (upstream === 'sandbox') return check === 'embeddings' ? 'sandbox/embed' : 'sandbox/echo'
  return `${upstream}-${check}/m`
}

async function chat(upstream) {
  const reply = await client.chat.completions.create({ model: model(upstream, 'chat'), messages: says('Hello') })
  const { message, finish_reason: finish } = reply.choices[0]
  tell(`chat ${upstream}`, { text: message.content, finish, ...counted(reply.usage) })
}

async function stream(upstream) {
  const chunks = await client.chat.completions.create({
    model: model(upstream, 'stream'), messages: says('one two three'), stream: true,
    stream_options: { include_usage: true },
  })
  let text = '', finish = null, usage = null
  for await (const chunk of chunks) {
    usage = chunk.usage ?? usage
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? ''
      finish = choice.finish_reason ?? finish
    }
  }
  tell(`stream ${upstream}`, { text, finish, ...counted(usage) })
}

async function tools(upstream) {
  const asked = { model: model(upstream, 'tools'), tools: [TOOL] }
  const messages = says('/tool get_weather')
  const reply = await client.chat.completions.create({ messages, ...asked })
  const { message, finish_reason: finish } = reply.choices[0]
  const call = message.tool_calls[0]
  messages.push(message, { role: 'tool', tool_call_id: call.id, content: '{"degrees": 7}' })
  const after = await client.chat.completions.create({ messages, ...asked })
  const { name, arguments: text } = call.function
  tell(`tools ${upstream}`, { name, arguments: JSON.parse(text), finish, then: after.choices[0].message.content })
}

// Through the SDK's own assembly of a stream, which is strict about the form of chunks.
async function streamedCall(upstream) {
  const asked = { model: model(upstream, 'call'), tools: [TOOL], messages: says('/tool get_weather') }
  const reply = await client.chat.completions.stream(asked).finalChatCompletion()
  const { message, finish_reason: finish } = reply.choices[0]
  const { name, arguments: text } = message.tool_calls[0].function
  tell(`call ${upstream}`, { name, arguments: JSON.parse(text), finish })
}

async function structured(upstream) {
  const reply = await client.chat.completions.parse({
    model: model(upstream, 'json'), messages: says('The weather of Oslo'),
    response_format: { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema: WEATHER } },
  })
  tell(`json ${upstream}`, JSON.parse(reply.choices[0].message.content))
}

// Asks for base64 unless it is told otherwise.
async function embeddings(upstream) {
  const reply = await client.embeddings.create({ model: model(upstream, 'embeddings'), input: ['one', 'two'] })
  tell(`embeddings ${upstream}`, shortly(reply.data.map((item) => item.embedding)))
}

async function models() {
  const listed = []
  for await (const one of client.models.list()) listed.push(one.id)
  tell('models', listed.filter((id) => id.startsWith('sandbox/') || id === 'fast'))
  for (const name of ['sandbox/echo', 'fast']) {
    const { id, owned_by } = await client.models.retrieve(name)
    tell(`model ${name}`, { id, owned_by })
  }
}

async function route() {
  const asked = { model: 'fast', messages: says('Hello') }
  const { data, response } = await client.chat.completions.create(asked).withResponse()
  tell('route', { text: data.choices[0].message.content, model: response.headers.get('x-bursar-model') })
}

async function pin() {
  for (const connection of ['openai-pin:second', 'openai-pin:main']) {
    const headers = { 'X-Bursar-Connection': connection, 'X-Bursar-Feature': 'from-header' }
    const asked = { model: 'openai-pin/m', messages: says('Hello') }
    const { response } = await client.chat.completions.create(asked, { headers }).withResponse()
    tell(`pin ${connection}`, response.headers.get('x-bursar-connection'))
  }
}

async function label() {
  const metadata = { bursar_feature: 'from-body', kept: 'yes' }
  const asked = { model: 'openai-label/m', messages: says('Hello'), metadata }
  const reply = await client.chat.completions.create(asked)
  tell('label', reply.choices[0].message.content)
}

async function error(check, call) {
  try {
    await call()
  } catch (found) {
    if (!(found instanceof APIError)) throw found
    const { status = null, code, param } = found
    tell(check, { class: found.constructor.name, status, code, param })
    return
  }
  tell(check, 'no error')
}

async function errors() {
  const asks = (name, more = {}, headers = {}) => () =>
    client.chat.completions.create({ model: name, messages: says('Hello'), ...more }, { headers, maxRetries: 0 })
  await error('unknown model', asks('nowhere'))
  await error("unknown provider's model", () => client.models.retrieve('sandbox/none'))
  await error('caller', asks('err-caller/m'))
  await error('caller gemini', asks('err-gemini/m'))
  await error('rate', asks('err-rate/m'))
  await error('credential', asks('err-credential/m'))
  await error('capability', asks('chat-only/chat', { tools: [TOOL] }))
  await error('bad label', asks('sandbox/echo', {}, { 'X-Bursar-Feature': 'No Label' }))
  await error('bad body', asks('sandbox/echo', { messages: 7 }))
  await error('too slow', asks('sandbox/echo', {}, { 'X-Bursar-Timeout-Ms': '50', 'X-Bursar-Sandbox': 'hang' }))
  // With the SDK's own retries on: it is told not to repeat what was repeated already.
  await error('no retries', () => client.chat.completions.create({ model: 'err-retries/m', messages: says('Hello') }))
}

// A stream that breaks off throws, and never looks whole.
async function cut() {
  const chunks = await client.chat.completions.create({ model: 'openai-cut/m', messages: says('x'), stream: true })
  let text = ''
  await error('cut', async () => {
    for await (const chunk of chunks) text += chunk.choices[0].delta.content ?? ''
  })
  tell('cut text', text)
}

async function hangUp() {
  const chunks = await client.chat.completions.create({ model: 'openai-hang/m', messages: says('x'), stream: true })
  for await (const chunk of chunks) {
    const text = chunk.choices[0].delta.content
    if (text) {
      tell('hang up', text)
      break // which closes the connection
    }
  }
}

for (const check of [chat, stream, tools, streamedCall, structured]) {
  for (const upstream of UPSTREAMS) await check(upstream)
}
for (const upstream of ['openai', 'gemini', 'sandbox']) await embeddings(upstream)
for (const check of [models, route, pin, label, errors, cut, hangUp]) await check()
await dispatcher.destroy()
