"""What else apps do with OpenAI's SDK for Python, over Bursar's socket: python operations.py SOCKET."""

import io
import sys

import httpx
import openai

from shared import KEY, model, tell

client = openai.OpenAI(
    base_url="http://bursar/v1", api_key=KEY, max_retries=0,
    http_client=httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1])),
)


def counted(usage):
    return {"input": usage.input_tokens, "output": usage.output_tokens}


def responses():
    reply = client.responses.create(model=model("openai", "responses"), input="Hello", store=False)
    tell("responses", {"text": reply.output_text, "status": reply.status, **counted(reply.usage)})


def responses_stream():
    events = client.responses.create(model=model("openai", "responses-stream"), input="one two", stream=True)
    text, last = "", None
    for event in events:
        last = event
        if event.type == "response.output_text.delta":
            text += event.delta
    tell("responses stream", {"text": text, "end": last.type, **counted(last.response.usage)})


def images():
    reply = client.images.generate(model=model("openai", "images"), prompt="A cat", n=1)
    tell("images", {"data": reply.data[0].b64_json, **counted(reply.usage)})


def speech():
    reply = client.audio.speech.create(model=model("openai", "speech"), voice="alloy", input="Hello")
    tell("speech", {"bytes": list(reply.read()), "type": reply.response.headers["content-type"]})


def transcription():
    sound = ("hello.wav", io.BytesIO(bytes(range(256)) * 64), "audio/wav")
    reply = client.audio.transcriptions.create(model=model("openai", "transcription"), file=sound, language="en")
    tell("transcription", reply.text)


def moderation():
    reply = client.moderations.create(model=model("openai", "moderation"), input="Hello")
    tell("moderation", {"flagged": reply.results[0].flagged})


def error(check, call):
    try:
        call()
    except openai.APIStatusError as found:
        tell(check, {"class": type(found).__name__, "status": found.status_code, "kind": found.code})
    else:
        tell(check, "no error")


for check in [responses, responses_stream, images, speech, transcription, moderation]:
    check()
error("unknown model", lambda: client.responses.create(model="nowhere", input="Hello"))
error("no such operation", lambda: client.images.generate(model=model("gemini", "chat"), prompt="A cat"))
error("caller", lambda: client.responses.create(model=model("openai", "caller"), input="Hello"))
