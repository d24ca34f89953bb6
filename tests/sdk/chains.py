"""What apps do with LangChain's ChatOpenAI, over Bursar's socket: python chains.py SOCKET."""

import sys

import httpx
import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from shared import ERRORS, KEY, PIXEL, RESULT, SCHEMA, SYSTEM, UPSTREAMS, Weather, model, shortly, tell

TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city", "parameters": SCHEMA,
}}
http_client = httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1]))
settings = {"base_url": "http://bursar/v1", "api_key": KEY, "http_client": http_client, "max_retries": 0}


def llm(upstream, check, **more):
    return ChatOpenAI(model=model(upstream, check), **settings, **more)


def answer(reply):
    usage, finish = reply.usage_metadata, reply.response_metadata["finish_reason"]
    return {"text": reply.text, "finish": finish, "input": usage["input_tokens"], "output": usage["output_tokens"]}


def the_call(reply):
    call, finish = reply.tool_calls[0], reply.response_metadata["finish_reason"]
    return {"name": call["name"], "arguments": call["args"], "finish": finish}


def gathered(pieces):
    whole = None
    for piece in pieces:
        whole = piece if whole is None else whole + piece
    return whole


def chat(upstream):
    tell(f"chat {upstream}", answer(llm(upstream, "chat").invoke([SystemMessage(SYSTEM), HumanMessage("Hello")])))


def stream(upstream):
    tell(f"stream {upstream}", answer(gathered(llm(upstream, "stream", stream_usage=True).stream("one two three"))))


def tools(upstream):
    able = llm(upstream, "tools").bind_tools([TOOL])
    messages = [HumanMessage("The weather of Oslo?")]
    reply = able.invoke(messages)
    messages += [reply, ToolMessage(str(RESULT).replace("'", '"'), tool_call_id=reply.tool_calls[0]["id"])]
    tell(f"tools {upstream}", {**the_call(reply), "then": able.invoke(messages).text})


def streamed_call(upstream):
    tell(f"call {upstream}", the_call(gathered(llm(upstream, "call").bind_tools([TOOL]).stream("Oslo?"))))


def structured(upstream):
    able = llm(upstream, "json").with_structured_output(Weather, method="json_schema")
    tell(f"json {upstream}", able.invoke("Oslo?").model_dump())


def image(upstream):
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "text", "text": "What is it?"},
    ]
    tell(f"image {upstream}", llm(upstream, "image").invoke([HumanMessage(content)]).text)


def embeddings(upstream):
    # Without the check of lengths: it counts tokens of OpenAI's, and sends those.
    able = OpenAIEmbeddings(model=model(upstream, "embeddings"), check_embedding_ctx_length=False, **settings)
    tell(f"embeddings {upstream}", shortly(able.embed_documents(["one", "two"])))


def error(check, name):
    try:
        ChatOpenAI(model=name, **settings).invoke("Hello")
    except openai.APIStatusError as found:
        kinds = [one.__name__ for one in type(found).__mro__ if one.__module__.startswith("openai")]
        tell(check, {"class": kinds[0], "status": found.status_code, "kind": found.code})
    else:
        tell(check, "no error")


for check in [chat, stream, tools, streamed_call, structured, image]:
    for upstream in UPSTREAMS:
        check(upstream)
for upstream in ["openai", "gemini"]:
    embeddings(upstream)
error("unknown model", "nowhere")
for upstream in UPSTREAMS:
    for check in ERRORS:
        error(f"{check} {upstream}", model(upstream, check))
