"""What apps do with OpenAI's SDK for Python, over Bursar's socket: python checks.py sync|async SOCKET.

One line of JSON a check: {"check": NAME, "got": FACTS}. What the facts must be stands in tests/sdk.rs.
"""

import asyncio
import inspect
import json
import sys

import httpx
import openai

from shared import KEY, SCHEMA, Weather, shortly, tell

UPSTREAMS = ["openai", "anthropic", "gemini", "sandbox"]
EMBEDDERS = ["openai", "gemini", "sandbox"]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "strict": True,
        "parameters": SCHEMA,
    },
}


def model(upstream, check):
    if upstream == "sandbox":
        return "sandbox/embed" if check == "embeddings" else "sandbox/echo"
    return f"{upstream}-{check}/m"


def says(text):
    return [{"role": "user", "content": text}]


async def got(value):
    """The same checks for both clients: only the asynchronous one has to be waited for."""
    return await value if inspect.isawaitable(value) else value


async def each(stream):
    if hasattr(stream, "__aiter__"):
        async for one in stream:
            yield one
    else:
        for one in stream:
            yield one


def counted(usage):
    return {"input": usage.prompt_tokens, "output": usage.completion_tokens}


async def chat(client, upstream):
    reply = await got(client.chat.completions.create(model=model(upstream, "chat"), messages=says("Hello")))
    choice = reply.choices[0]
    tell(f"chat {upstream}", {"text": choice.message.content, "finish": choice.finish_reason, **counted(reply.usage)})


async def stream(client, upstream):
    chunks = await got(client.chat.completions.create(
        model=model(upstream, "stream"), messages=says("one two three"), stream=True,
        stream_options={"include_usage": True},
    ))
    text, finish, usage = "", None, None
    async for chunk in each(chunks):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    tell(f"stream {upstream}", {"text": text, "finish": finish, **counted(usage)})


async def tools(client, upstream):
    asked = {"model": model(upstream, "tools"), "tools": [TOOL]}
    messages = says("/tool get_weather")
    reply = await got(client.chat.completions.create(messages=messages, **asked))
    message = reply.choices[0].message
    call = message.tool_calls[0]
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 7}'}]
    after = await got(client.chat.completions.create(messages=messages, **asked))
    tell(f"tools {upstream}", {
        "name": call.function.name, "arguments": json.loads(call.function.arguments),
        "finish": reply.choices[0].finish_reason, "then": after.choices[0].message.content,
    })


async def streamed_call(client, upstream):
    """Through the SDK's own assembly of a stream, which is strict about the form of chunks."""
    asked = {"model": model(upstream, "call"), "tools": [TOOL], "messages": says("/tool get_weather")}
    manager = client.chat.completions.stream(**asked)
    if hasattr(manager, "__aenter__"):
        async with manager as events:
            reply = await events.get_final_completion()
    else:
        with manager as events:
            reply = events.get_final_completion()
    call = reply.choices[0].message.tool_calls[0]
    tell(f"call {upstream}", {
        "name": call.function.name, "arguments": json.loads(call.function.arguments),
        "finish": reply.choices[0].finish_reason,
    })


async def structured(client, upstream):
    reply = await got(client.chat.completions.parse(
        model=model(upstream, "json"), messages=says("The weather of Oslo"), response_format=Weather,
    ))
    tell(f"json {upstream}", reply.choices[0].message.parsed.model_dump())


async def embeddings(client, upstream):
    """Asks for base64 unless it is told otherwise."""
    reply = await got(client.embeddings.create(model=model(upstream, "embeddings"), input=["one", "two"]))
    tell(f"embeddings {upstream}", shortly([item.embedding for item in reply.data]))


async def models(client):
    listed = [one.id async for one in each(await got(client.models.list()))]
    tell("models", [one for one in listed if one.startswith("sandbox/") or one == "fast"])
    for name in ["sandbox/echo", "fast"]:
        one = await got(client.models.retrieve(name))
        tell(f"model {name}", {"id": one.id, "owned_by": one.owned_by})


async def route(client):
    reply = await got(client.chat.completions.with_raw_response.create(model="fast", messages=says("Hello")))
    parsed = await got(reply.parse())
    tell("route", {"text": parsed.choices[0].message.content, "model": reply.headers["x-bursar-model"]})


async def pin(client):
    for connection in ["openai-pin:second", "openai-pin:main"]:
        reply = await got(client.chat.completions.with_raw_response.create(
            model="openai-pin/m", messages=says("Hello"),
            extra_headers={"X-Bursar-Connection": connection, "X-Bursar-Feature": "from-header"},
        ))
        tell(f"pin {connection}", reply.headers["x-bursar-connection"])


async def label(client):
    reply = await got(client.chat.completions.create(
        model="openai-label/m", messages=says("Hello"), metadata={"bursar_feature": "from-body", "kept": "yes"},
    ))
    tell("label", reply.choices[0].message.content)


async def error(check, call):
    try:
        await got(call())
    except openai.APIError as found:
        status = getattr(found, "status_code", None)
        tell(check, {"class": type(found).__name__, "status": status, "code": found.code, "param": found.param})
    else:
        tell(check, "no error")


async def errors(client):
    create = client.with_options(max_retries=0).chat.completions.create

    def asks(name, **more):
        return lambda: create(model=name, messages=says("Hello"), **more)

    await error("unknown model", asks("nowhere"))
    await error("unknown provider's model", lambda: got(client.models.retrieve("sandbox/none")))
    await error("caller", asks("err-caller/m"))
    await error("caller gemini", asks("err-gemini/m"))
    await error("rate", asks("err-rate/m"))
    await error("credential", asks("err-credential/m"))
    await error("capability", asks("chat-only/chat", tools=[TOOL]))
    await error("bad label", asks("sandbox/echo", extra_headers={"X-Bursar-Feature": "No Label"}))
    await error("bad body", asks("sandbox/echo", extra_body={"messages": 7}))
    await error("too slow", asks(
        "sandbox/echo", extra_headers={"X-Bursar-Timeout-Ms": "50", "X-Bursar-Sandbox": "hang"},
    ))
    # With the SDK's own retries on: it is told not to repeat what was repeated already.
    await error("no retries", lambda: client.chat.completions.create(model="err-retries/m", messages=says("Hello")))


async def cut(client):
    """A stream that breaks off raises, and never looks whole."""
    chunks = await got(client.chat.completions.create(model="openai-cut/m", messages=says("x"), stream=True))
    text = ""

    async def read():
        nonlocal text
        async for chunk in each(chunks):
            text += chunk.choices[0].delta.content or ""

    await error("cut", read)
    tell("cut text", text)


async def hang_up(client):
    chunks = await got(client.chat.completions.create(model="openai-hang/m", messages=says("x"), stream=True))
    async for chunk in each(chunks):
        if chunk.choices[0].delta.content:
            tell("hang up", chunk.choices[0].delta.content)
            break
    await got(chunks.close())


async def main(client):
    for check in [chat, stream, tools, streamed_call, structured]:
        for upstream in UPSTREAMS:
            await check(client, upstream)
    for upstream in EMBEDDERS:
        await embeddings(client, upstream)
    for check in [models, route, pin, label, errors, cut, hang_up]:
        await check(client)


flavour, socket = sys.argv[1:]
settings = {"base_url": "http://bursar/v1", "api_key": KEY}
if flavour == "sync":
    own = openai.OpenAI(http_client=httpx.Client(transport=httpx.HTTPTransport(uds=socket)), **settings)
else:
    own = openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(transport=httpx.AsyncHTTPTransport(uds=socket)), **settings)
asyncio.run(main(own))
