// What apps do with the Vercel AI SDK, over Bursar's socket: node vercel.mjs compatible|chat|responses SOCKET, with its
// provider for compatible servers, with OpenAI's own, or with that as it comes.

import { ERRORS, KEY, PIXEL, RESULT, SCHEMA, SYSTEM, UPSTREAMS, WEATHER, model, shortly, tell } from './shared.mjs'
import { dispatcher, fetch, flavour, require } from './shared.mjs'

const { APICallError, embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } = require('ai')
const { createOpenAI } = require('@ai-sdk/openai')
const { createOpenAICompatible } = require('@ai-sdk/openai-compatible')

const settings = { baseURL: 'http://bursar/v1', apiKey: KEY, fetch }
const compatible =
  createOpenAICompatible({ name: 'bursar', includeUsage: true, supportsStructuredOutputs: true, ...settings })
const openai = createOpenAI(settings)
const of = {
  compatible: (id) => compatible(id),
  chat: (id) => openai.chat(id),
  responses: (id) => openai(id), // what it speaks unless it is told otherwise
}[flavour]
const asks = (upstream, check, more = {}) => ({ model: of(model(upstream, check)), maxRetries: 0, ...more })

const answer = ({ text, finishReason: finish, usage }) =>
  ({ text, finish, input: usage.inputTokens, output: usage.outputTokens })
const weather = (more = {}) =>
  ({ get_weather: tool({ description: 'The weather of a city', inputSchema: jsonSchema(SCHEMA), ...more }) })
const theCall = ({ toolCalls: [call], finishReason: finish }) => ({ name: call.toolName, arguments: call.input, finish })

// A stream tells of errors in its own way.
const onError = ({ error }) => { throw error }

async function chat(upstream) {
  tell(`chat ${upstream}`, answer(await generateText(asks(upstream, 'chat', { system: SYSTEM, prompt: 'Hello' }))))
}

async function stream(upstream) {
  const result = streamText(asks(upstream, 'stream', { prompt: 'one two three', onError }))
  let text = ''
  for await (const piece of result.textStream) text += piece
  tell(`stream ${upstream}`, answer({ text, finishReason: await result.finishReason, usage: await result.usage }))
}

async function tools(upstream) {
  const result = await generateText(asks(upstream, 'tools', {
    prompt: 'The weather of Oslo?', tools: weather({ execute: () => RESULT }), stopWhen: stepCountIs(2),
  }))
  tell(`tools ${upstream}`, { ...theCall(result.steps[0]), then: result.text })
}

async function streamedCall(upstream) {
  const result = streamText(asks(upstream, 'call', { prompt: 'Oslo?', tools: weather(), onError }))
  tell(`call ${upstream}`, theCall({ toolCalls: await result.toolCalls, finishReason: await result.finishReason }))
}

async function structured(upstream) {
  const { object } = await generateObject(asks(upstream, 'json', { prompt: 'Oslo?', schema: jsonSchema(WEATHER) }))
  tell(`json ${upstream}`, object)
}

async function image(upstream) {
  const content = [{ type: 'image', image: PIXEL, mediaType: 'image/png' }, { type: 'text', text: 'What is it?' }]
  tell(`image ${upstream}`, (await generateText(asks(upstream, 'image', { messages: [{ role: 'user', content }] }))).text)
}

async function embeddings(upstream) {
  const provider = flavour === 'compatible' ? compatible : openai
  const embedder = provider.textEmbeddingModel(model(upstream, 'embeddings'))
  tell(`embeddings ${upstream}`, shortly((await embedMany({ model: embedder, values: ['one', 'two'] })).embeddings))
}

async function error(check, name) {
  try {
    await generateText({ model: of(name), prompt: 'Hello', maxRetries: 0 })
  } catch (found) {
    if (!APICallError.isInstance(found)) throw found
    tell(check, { class: 'APICallError', status: found.statusCode, kind: JSON.parse(found.responseBody).error.code })
    return
  }
  tell(check, 'no error')
}

// Responses pass to providers that have them, and are translated for nobody.
const upstreams = flavour === 'responses' ? ['openai'] : UPSTREAMS
const checks = flavour === 'responses' ? [chat, stream] : [chat, stream, tools, streamedCall, structured, image]
for (const check of checks) {
  for (const upstream of upstreams) await check(upstream)
}
if (flavour !== 'responses') {
  for (const upstream of ['openai', 'gemini']) await embeddings(upstream)
}
await error('unknown model', 'nowhere')
for (const upstream of upstreams) {
  for (const check of ERRORS) await error(`${check} ${upstream}`, model(upstream, check))
}
await dispatcher.destroy()
