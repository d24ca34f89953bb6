//! A recorded case: what is in its folder, and how it is replayed.

use std::fs;
use std::path::Path;

use bursar::adapter;
use bursar::api::Operation;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::fake::{Framing, Reply};
use crate::harness::Call;

/// A provider's stream comes in pieces that know nothing of frames.
const PIECE_BYTES: usize = 997;
/// The model of requests that were not recorded.
pub const MODEL: &str = "some-model";

/// One recorded exchange.
pub struct Case {
    /// Its name, `provider/case`.
    pub name: String,
    /// The facts.
    pub expected: Value,
    /// The provider's body.
    pub body: Bytes,
    head: Value,
    request: Option<Value>,
}

/// How far a case gets.
pub enum Reach {
    /// Through the daemon.
    Daemon,
    /// Nowhere yet, and why.
    NotYet(String),
    /// Nowhere ever, and why.
    Skip(String),
}

impl Case {
    /// All cases, in the order of their names.
    pub fn all(folder: &Path) -> Vec<Self> {
        let mut cases: Vec<_> = folders(folder).iter().flat_map(|provider| folders(provider)).collect();
        cases.sort();
        cases.iter().map(|case| Self::open(case)).collect()
    }

    fn open(folder: &Path) -> Self {
        let json = |name: &str| fs::read(folder.join(name)).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap());
        let body = ["response.sse", "response.json"].iter().find_map(|name| fs::read(folder.join(name)).ok());
        let name: Vec<_> = folder.iter().map(|part| part.to_str().unwrap()).collect();
        Self {
            name: name[name.len() - 2..].join("/"),
            expected: json("expected.json").expect("a case has facts"),
            head: json("headers.json").expect("a case has headers"),
            request: json("request.json"),
            body: body.expect("a case has a body").into(),
        }
    }

    /// How far it gets.
    pub fn reach(&self) -> Reach {
        if let Some(why) = self.expected["skip"].as_str() {
            return Reach::Skip(why.into());
        }
        let operation = self.expected["operation"].as_str().unwrap();
        match (adapter::for_kind(self.kind()), operation.parse::<Operation>()) {
            (None, _) => Reach::NotYet(format!("no adapter speaks to kind {:?}", self.kind())),
            (Some(_), Err(())) => Reach::NotYet(format!("there is no operation {operation:?}")),
            (Some(_), Ok(_)) => Reach::Daemon,
        }
    }

    /// The kind of the adapter that speaks to its provider.
    pub fn kind(&self) -> &str {
        self.expected["kind"].as_str().unwrap()
    }

    /// The kind of call.
    pub fn operation(&self) -> Operation {
        self.expected["operation"].as_str().unwrap().parse().unwrap()
    }

    /// Whether the reply is a stream.
    pub fn is_stream(&self) -> bool {
        self.expected["stream"] == true
    }

    /// Whether the provider speaks the app's dialect, so that its bytes pass.
    pub fn passes(&self) -> bool {
        adapter::for_kind(self.kind()).unwrap().facts().dialect == Some(adapter::Dialect::OpenAi)
    }

    /// What of the provider's body passes to the app: all of it, but for the usage that the app did not ask for.
    pub fn passing(&self) -> String {
        let text = std::str::from_utf8(&self.body).unwrap();
        let asked_for = self.kind() != "openai" || self.asked()["stream_options"]["include_usage"] == true;
        let withheld = |frame: &str| self.is_stream() && !asked_for && frame.contains("\"choices\":[],");
        text.split_inclusive("\n\n").filter(|frame| !withheld(frame)).collect()
    }

    /// The provider of this case.
    pub fn provider(&self, url: &str) -> String {
        let (slug, kind, base) = (self.slug(), self.kind(), format!("{url}{}", self.base_path()));
        format!(
            "[providers.{slug}]\nkind = {kind:?}\nbase_url = {base:?}\nallow_private = true\nfetch_models = false\n"
        )
    }

    /// Its one connection.
    pub fn connection(&self) -> String {
        format!("{}:main", self.slug())
    }

    /// Where Bursar will ask the provider.
    pub fn upstream_path(&self) -> String {
        let path = match (self.kind(), self.operation(), self.is_stream()) {
            (_, Operation::Models, _) => "/models".into(),
            ("gemini", Operation::Embeddings, _) => format!("/models/{MODEL}:batchEmbedContents"),
            ("gemini", _, true) => format!("/models/{MODEL}:streamGenerateContent"),
            ("gemini", _, false) => format!("/models/{MODEL}:generateContent"),
            ("anthropic", ..) => "/messages".into(),
            (_, Operation::Embeddings, _) => "/embeddings".into(),
            (_, Operation::Chat, _) => "/chat/completions".into(),
            (_, other, _) => panic!("no case shows {other}"),
        };
        self.base_path() + &path
    }

    /// What the provider answers: the recorded bytes under the recorded head, in a framing of our own.
    pub fn reply(&self) -> Reply {
        let response = &self.head["response"];
        let mut reply = Reply::bare(u16::try_from(response["status"].as_u64().unwrap()).unwrap());
        for (name, value) in response["headers"].as_object().unwrap() {
            let framing = ["transfer-encoding", "content-length", "content-encoding"];
            if !framing.contains(&name.to_ascii_lowercase().as_str()) {
                reply = reply.header(name, value.as_str().unwrap());
            }
        }
        if self.is_stream() {
            let pieces = self.body.chunks(PIECE_BYTES).map(|piece| self.body.slice_ref(piece)).collect();
            reply.framed(Framing::Chunked).pieces(pieces)
        } else {
            reply.pieces(vec![self.body.clone()])
        }
    }

    /// The call that shows what becomes of the reply.
    pub fn call(&self) -> Call {
        match self.operation() {
            Operation::Chat => Call::post("/v1/chat/completions", &self.asked()),
            Operation::Embeddings => Call::post("/v1/embeddings", &self.asked()),
            Operation::Models => {
                let path = format!("/admin/v1/connections/{}/test", self.connection());
                Call::post(&path, &json!({})).header("x-bursar-request", "1")
            }
            other => panic!("no case shows {other}"),
        }
    }

    /// What the app asks: as recorded where that was OpenAI's dialect and this operation, else the least there is.
    fn asked(&self) -> Value {
        let needs = if self.operation() == Operation::Embeddings { "input" } else { "messages" };
        let recorded = self.request.as_ref().filter(|request| self.passes() && request.get(needs).is_some());
        let mut body = recorded.cloned().unwrap_or_else(|| self.least());
        let model = body["model"].as_str().unwrap_or(MODEL);
        body["model"] = json!(format!("{}/{model}", self.slug()));
        body
    }

    fn least(&self) -> Value {
        match self.operation() {
            Operation::Embeddings => {
                let count = self.expected["embeddings"]["count"].as_u64().unwrap_or(1);
                json!({"input": (0..count).map(|number| format!("text {number}")).collect::<Vec<_>>()})
            }
            _ if self.is_stream() => json!({
                "messages": [{"role": "user", "content": "Hello"}],
                "stream": true,
                "stream_options": {"include_usage": true},
            }),
            _ => json!({"messages": [{"role": "user", "content": "Hello"}]}),
        }
    }

    /// The name of its provider.
    pub fn slug(&self) -> String {
        self.name.replace('/', "-")
    }

    /// The case's own place at the replaying server, up to the API's version.
    fn base_path(&self) -> String {
        let version = match self.kind() {
            "gemini" => "v1beta",
            "openrouter" => "api/v1",
            _ => "v1",
        };
        format!("/{}/{version}", self.name)
    }
}

/// The folders in a folder.
fn folders(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}
