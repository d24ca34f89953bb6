//! What to try with a daemon that the demo left running.

use super::real::Real;
use super::stage::Kept;
use crate::cli::output::Output;

const CURL: &str = r#"curl -sS --unix-socket <socket> \
  http://bursar/v1/chat/completions --header 'Content-Type: application/json' \
  --data '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'
"#;

const PYTHON: &str = r#"import httpx
from openai import OpenAI

socket = "<socket>"
client = OpenAI(
    base_url="http://bursar/v1",
    api_key="unused",
    http_client=httpx.Client(transport=httpx.HTTPTransport(uds=socket)),
)
messages = [{"role": "user", "content": "Say hello"}]
stream = client.chat.completions.create(
    model="demo", messages=messages, stream=True
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"#;

const NODE: &str = r#"import OpenAI from "openai";
import { Agent } from "undici";

const socketPath = "<socket>";
const client = new OpenAI({
  baseURL: "http://bursar/v1",
  apiKey: "unused",
  fetchOptions: { dispatcher: new Agent({ connect: { socketPath } }) },
});
const stream = await client.chat.completions.create({
  model: "demo",
  messages: [{ role: "user", content: "Say hello" }],
  stream: true,
});
for await (const chunk of stream)
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
"#;

/// Prints everything to try, ready to be copied, and how to end it.
pub(super) fn show(out: &Output, kept: &Kept, real: &[&Real]) {
    let socket = kept.socket.display().to_string();
    let show = |title: &str, program: &str| {
        out.text("\n");
        out.heading(title);
        out.text(&program.replace("<socket>", &socket));
    };
    out.text("\nThe daemon runs on. Try:\n");
    show("Shell", &shell(real));
    show("curl", CURL);
    show("Python: pip install openai httpx", PYTHON);
    show("Node: npm install openai undici, and save as demo.mjs", NODE);
    show("To end it", &format!("kill {} && sleep 1 && rm -r {}\n", kept.pid, kept.path.display()));
}

fn shell(real: &[&Real]) -> String {
    // As it was called just now, it can be called again.
    let bursar = std::env::args().next().unwrap_or_else(|| String::from("bursar"));
    let mut text = format!(
        "export BURSAR_SOCKET=<socket>\n\
         {bursar} execute -m demo \"Say hello\"\n\
         {bursar} usage --by feature\n\
         {bursar} connections list\n"
    );
    if !real.is_empty() {
        text.push_str("# Real calls, which cost money:\n");
    }
    for one in real {
        text.push_str(&format!("{bursar} execute -m {} \"Say hello\"\n", one.model));
    }
    text
}
