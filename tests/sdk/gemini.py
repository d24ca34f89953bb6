"""What apps do with Google's SDK for Python, over Bursar's socket: python gemini.py SOCKET."""

import base64
import sys

import httpx
from google import genai
from google.genai import errors, types

from shared import ERRORS, KEY, PIXEL, RESULT, SCHEMA, SYSTEM, UPSTREAMS, Weather, model, shortly, tell

FUNCTION = types.FunctionDeclaration(
    name="get_weather", description="The weather of a city", parameters_json_schema=SCHEMA,
)
TOOLS = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[FUNCTION])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


def answer(reply):
    usage = reply.usage_metadata
    counted = {"input": usage.prompt_token_count, "output": usage.candidates_token_count}
    return {"text": reply.text, "finish": reply.candidates[0].finish_reason.value, **counted}


def the_call(reply):
    call = reply.function_calls[0]
    return {"name": call.name, "arguments": call.args, "finish": reply.candidates[0].finish_reason.value}


def chat(client, upstream):
    config = types.GenerateContentConfig(system_instruction=SYSTEM, temperature=0.5)
    reply = client.models.generate_content(model=model(upstream, "chat"), contents="Hello", config=config)
    tell(f"chat {upstream}", answer(reply))


def stream(client, upstream):
    pieces = list(client.models.generate_content_stream(model=model(upstream, "stream"), contents="one two three"))
    text = "".join(piece.text or "" for piece in pieces)
    tell(f"stream {upstream}", {**answer(pieces[-1]), "text": text})


def tools(client, upstream):
    name = model(upstream, "tools")
    contents = [types.UserContent("The weather of Oslo?")]
    reply = client.models.generate_content(model=name, contents=contents, config=TOOLS)
    result = types.Part.from_function_response(name=reply.function_calls[0].name, response=RESULT)
    contents += [reply.candidates[0].content, types.UserContent([result])]
    after = client.models.generate_content(model=name, contents=contents, config=TOOLS)
    tell(f"tools {upstream}", {**the_call(reply), "then": after.text})


def streamed_call(client, upstream):
    pieces = client.models.generate_content_stream(model=model(upstream, "call"), contents="Oslo?", config=TOOLS)
    calls, finish = [], None
    for piece in pieces:
        calls += piece.function_calls or []
        finish = piece.candidates[0].finish_reason or finish
    tell(f"call {upstream}", {"name": calls[0].name, "arguments": calls[0].args, "finish": finish.value})


def structured(client, upstream):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather)
    reply = client.models.generate_content(model=model(upstream, "json"), contents="Oslo?", config=config)
    tell(f"json {upstream}", reply.parsed.model_dump())


def image(client, upstream):
    part = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    tell(f"image {upstream}", client.models.generate_content(
        model=model(upstream, "image"), contents=[part, "What is it?"],
    ).text)


def embeddings(client, upstream):
    reply = client.models.embed_content(model=model(upstream, "embeddings"), contents=["one", "two"])
    tell(f"embeddings {upstream}", shortly([one.values for one in reply.embeddings]))


def models(client):
    listed = [one.name.removeprefix("models/") for one in client.models.list()]
    tell("models", [one for one in listed if one.startswith("sandbox/") or one == "fast"])
    tell("model", client.models.get(model="sandbox/echo").name.removeprefix("models/"))


def error(client, check, name):
    try:
        client.models.generate_content(model=name, contents="Hello")
    except errors.APIError as found:
        tell(check, {"class": type(found).__name__, "status": found.code, "kind": found.status})
    else:
        tell(check, "no error")


own = genai.Client(api_key=KEY, http_options=types.HttpOptions(
    base_url="http://bursar", httpx_client=httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1])),
))
for check in [chat, stream, tools, streamed_call, structured, image]:
    for upstream in UPSTREAMS:
        check(own, upstream)
for upstream in ["openai", "gemini"]:
    embeddings(own, upstream)
models(own)
error(own, "unknown model", "nowhere")
for upstream in UPSTREAMS:
    for check in ERRORS:
        error(own, f"{check} {upstream}", model(upstream, check))
