"""What apps do with Anthropic's SDK for Python, over Bursar's socket: python claude.py SOCKET."""

import sys

import anthropic
import httpx2

from shared import ERRORS, KEY, PIXEL, RESULT, SCHEMA, SYSTEM, UPSTREAMS, Weather, model, tell

TOOL = {"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}


def says(content):
    return [{"role": "user", "content": content}]


def asks(upstream, check, **more):
    return {"model": model(upstream, check), "max_tokens": 100, **more}


def answer(reply):
    text = "".join(block.text for block in reply.content if block.type == "text")
    counted = {"input": reply.usage.input_tokens, "output": reply.usage.output_tokens}
    return {"text": text, "finish": reply.stop_reason, **counted}


def the_call(reply):
    call = next(block for block in reply.content if block.type == "tool_use")
    return call, {"name": call.name, "arguments": call.input, "finish": reply.stop_reason}


def chat(client, upstream):
    reply = client.messages.create(system=SYSTEM, messages=says("Hello"), **asks(upstream, "chat"))
    tell(f"chat {upstream}", answer(reply))


def stream(client, upstream):
    with client.messages.stream(messages=says("one two three"), **asks(upstream, "stream")) as events:
        pieces = list(events.text_stream)
        whole = answer(events.get_final_message())
    tell(f"stream {upstream}", {**whole, "text": "".join(pieces)})


def tools(client, upstream):
    asked = asks(upstream, "tools", tools=[TOOL])
    messages = says("The weather of Oslo?")
    reply = client.messages.create(messages=messages, **asked)
    call, facts = the_call(reply)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": str(RESULT).replace("'", '"')}
    messages += [{"role": "assistant", "content": reply.content}, *says([result])]
    after = client.messages.create(messages=messages, **asked)
    tell(f"tools {upstream}", {**facts, "then": answer(after)["text"]})


def streamed_call(client, upstream):
    with client.messages.stream(messages=says("Oslo?"), **asks(upstream, "call", tools=[TOOL])) as events:
        reply = events.get_final_message()
    tell(f"call {upstream}", the_call(reply)[1])


def structured(client, upstream):
    reply = client.messages.parse(messages=says("Oslo?"), output_format=Weather, **asks(upstream, "json"))
    tell(f"json {upstream}", reply.parsed_output.model_dump())


def image(client, upstream):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    tell(f"image {upstream}", answer(client.messages.create(messages=says(content), **asks(upstream, "image")))["text"])


def models(client):
    listed = [one.id for one in client.models.list()]
    tell("models", [one for one in listed if one.startswith("sandbox/") or one == "fast"])
    tell("model", client.models.retrieve("sandbox/echo").id)


def error(client, check, name):
    try:
        client.messages.create(model=name, max_tokens=100, messages=says("Hello"))
    except anthropic.APIStatusError as found:
        kind = found.body["error"]["type"] if isinstance(found.body, dict) else None
        tell(check, {"class": type(found).__name__, "status": found.status_code, "kind": kind})
    else:
        tell(check, "no error")


own = anthropic.Anthropic(
    base_url="http://bursar", api_key=KEY, max_retries=0,
    http_client=httpx2.Client(transport=httpx2.HTTPTransport(uds=sys.argv[1])),
)
for check in [chat, stream, tools, streamed_call, structured, image]:
    for upstream in UPSTREAMS:
        check(own, upstream)
models(own)
error(own, "unknown model", "nowhere")
for upstream in UPSTREAMS:
    for check in ERRORS:
        error(own, f"{check} {upstream}", model(upstream, check))
