"""What all scripts for Python share: how a check is told, and what is asked for."""

import json

from pydantic import BaseModel

KEY = "sk-client-canary"  # SDKs insist on one; nobody may ever see it
UPSTREAMS = ["openai", "anthropic", "gemini"]
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
}
SYSTEM = "Be brief"
RESULT = {"degrees": 7}
# One white pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg=="
)
# Each with the upstream that fails so, if it is one.
ERRORS = ["caller", "rate", "credential"]


class Weather(BaseModel):
    city: str
    degrees: int


def tell(check, got):
    print(json.dumps({"check": check, "got": got}), flush=True)


def model(upstream, check):
    return f"{upstream}-{check}/m"


def shortly(vectors):
    """What is told of vectors."""
    first = [f"{value:.6f}" for value in vectors[0][:2]]
    return {"count": len(vectors), "first": first, "same": vectors[0] == vectors[1]}
