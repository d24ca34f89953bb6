//! What is done with the bytes of each target, and what must stay true of the outcome, whatever they are.
//!
//! libFuzzer's programs (`fuzz_targets/`) and the replay of the corpora on a stable toolchain (`tests/it/corpora.rs`)
//! both call these. The first byte picks the entry of a table, the second what is asked, the third how bytes are split;
//! so a table that grows is fuzzed without a change here.

use std::collections::BTreeMap;

use bursar::adapter::body::{self, InPath};
use bursar::adapter::hub::{ChatRequest, EmbeddingRequest, Said, at_once, wants_base64};
use bursar::adapter::ingress::{ErrorSaid, INGRESSES, Ingress};
use bursar::adapter::sse::{Frame, Reader};
use bursar::adapter::{ADAPTERS, Adapter, Asked, Dialect, Forward, Refusal};
use bursar::api::{Operation, Tokens};
use bursar::bounds;
use bursar::credential::{BackupKey, MasterKey, MasterKeyError};
use bursar::store;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;

/// A target: its name, which is its corpus' too, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub static TARGETS: &[Target] = &[
    ("sse", sse),
    ("body", scan),
    ("hub", hub),
    ("encode", encode),
    ("reply", reply),
    ("stream", stream),
    ("error", error),
    ("ingress_request", ingress_request),
    ("ingress_reply", ingress_reply),
    ("ingress_stream", ingress_stream),
    ("backup", backup),
];

/// How many values of the first byte differ in what they pick.
pub fn entries() -> usize {
    ADAPTERS.len().max(INGRESSES.len()).max(Operation::ALL.len())
}

/// No frame of a fuzzed stream is as long.
const FRAME_BYTES_MAX: usize = 1 << 24;

/// Events are the same however their bytes are split, and none is lost.
pub fn sse(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    type Owned = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, bool);
    let read = |size: usize| {
        let mut all: Vec<Owned> = Vec::new();
        frames(bytes, size, |frame| {
            let data = frame.data.as_deref().map(<[u8]>::to_vec);
            all.push((frame.raw.to_vec(), frame.event.to_vec(), data, frame.stray));
        });
        all
    };
    let whole = read(bytes.len());
    assert_eq!(read(usize::from(size) + 1), whole, "another split gives other frames");
    assert_eq!(whole.into_iter().flat_map(|frame| frame.0).collect::<Vec<_>>(), bytes, "bytes are lost");
}

/// A backup that this program wrote, of a store with a few connections, and the key that it is sealed with.
static BACKUP: &[u8] = include_bytes!("../fixtures/store/backup-1.backup");
static BACKUP_KEY: &[u8; 32] = b"00000000001111111111222222222233";

/// Whatever is taken for a backup is refused or whole; and one that was altered anywhere is refused.
pub fn backup(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let key =
        MasterKey::parse(BACKUP_KEY).and_then(|key| BackupKey::from_key(&key).map_err(|_| MasterKeyError::Random));
    let key = key.expect("32 bytes are a key");
    if how % 2 == 0 {
        assert!(store::inspect(bytes, &key).is_err() || bytes == BACKUP);
        return;
    }
    // Pieces of the input take the place of pieces of the backup.
    let mut altered = BACKUP.to_vec();
    for edit in bytes.chunks(16) {
        let Some((place, with)) = edit.split_first_chunk::<2>() else { break };
        let at = usize::from(u16::from_le_bytes(*place)) % altered.len();
        let end = (at + with.len()).min(altered.len());
        altered.splice(at..end, with.iter().copied());
    }
    altered.truncate(altered.len() - usize::from(how) / 2 % 4);
    assert_eq!(store::inspect(&*altered, &key).is_ok(), altered == BACKUP);
}

/// A body that is scanned goes out as one JSON object that names the other model, and nothing else becomes unreadable.
pub fn scan(data: &[u8]) {
    let Some(picked) = Picked::read(data) else { return };
    let operation = *picked.of(Operation::ALL);
    let dialect = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini][usize::from(picked.flags >> 5) % 3];
    let _ = body::rewrite(picked.rest, &["user".into()], &[("max_tokens".into(), "max_completion_tokens".into())])
        .inspect(|out| assert_object(out));
    let path = |model: &str| InPath { model: model.into(), stream: picked.flag(1), single: picked.flag(2) };
    let scan = |model: &str, body: &[u8]| body::scan(dialect, operation, Some(&path(model)), body);
    let Ok(scanned) = scan("a-model", picked.rest) else { return };
    assert_object(picked.rest);
    let other = "another \"model\"";
    let sent = scanned.splice(&Bytes::copy_from_slice(picked.rest), other, picked.flag(0));
    assert_eq!(sent.len(), sent.to_vec().len());
    let sent = sent.to_vec();
    assert_object(&sent);
    let again = scan(other, &sent).expect("what is sent is a body too");
    assert_eq!(again.model, other);
    assert_eq!(
        (again.stream, again.max_output_tokens, again.needs),
        (scanned.stream, scanned.max_output_tokens, scanned.needs)
    );
    assert!(again.feature.is_none(), "the label is Bursar's, and stays here");
    let asks = picked.flag(0) && dialect == Dialect::OpenAi && operation == Operation::Chat;
    assert!(again.include_usage || !asks, "usage was asked for");
}

/// OpenAI's dialect is read or refused, and what reads is an object.
pub fn hub(data: &[u8]) {
    if let Err(refusal) = ChatRequest::read(data).map(drop) {
        assert_says_why(&refusal);
    } else {
        assert_object(data);
    }
    if let Err(refusal) = EmbeddingRequest::read(data).map(drop) {
        assert_says_why(&refusal);
    }
    let _ = wants_base64(data);
    let _ = Said::read(data);
    for include_usage in [false, true] {
        let Ok(out) = at_once(data, include_usage) else { continue };
        let all = assert_events(&out);
        assert_eq!(all.last().map(Vec::as_slice), Some(&b"[DONE]"[..]), "a stream has an end");
    }
}

/// What an adapter accepts, it says in JSON; what it refuses, it names.
pub fn encode(data: &[u8]) {
    let Some(picked) = Picked::read(data) else { return };
    let adapter = picked.adapter();
    let asked = picked.asked(&[Operation::Chat, Operation::Embeddings]);
    let _ = adapter.path(&asked);
    if adapter.facts().dialect == Some(Dialect::OpenAi) || !adapter.facts().operations.contains(&asked.operation) {
        return;
    }
    match adapter.encode(&asked, picked.rest) {
        Ok(out) => assert_object(&out),
        Err(refusal) => assert_says_why(&refusal),
    }
}

/// A reply that reads goes to the app as JSON of OpenAI's shape, and what cannot be read is said without a word of it.
pub fn reply(data: &[u8]) {
    let Some(picked) = Picked::read(data) else { return };
    let adapter = picked.adapter();
    let _ = adapter.models(picked.rest);
    let asked = Asked { stream: false, ..picked.asked(adapter.facts().operations) };
    let Ok(reply) = adapter.reply(&asked, &Bytes::copy_from_slice(picked.rest)) else { return };
    let Some(out) = reply.body else { return };
    assert_object(&out);
    if asked.operation == Operation::Chat && reply.seen.error.is_none() && !asked.pass {
        Said::read(&out).expect("a reply is a chat completion");
    }
}

/// A stream comes to the same however it is split; what was translated is frames of JSON, and ends once.
pub fn stream(data: &[u8]) {
    let Some(picked) = Picked::read(data) else { return };
    let adapter = picked.adapter();
    let asked = Asked { stream: true, ..picked.asked(&[Operation::Chat]) };
    let whole = read_stream(adapter, &asked, picked.rest, picked.rest.len());
    assert_eq!(read_stream(adapter, &asked, picked.rest, picked.split), whole, "another split gives another stream");
    if adapter.facts().dialect != Some(Dialect::OpenAi) && !asked.pass {
        let events = assert_events(&whole.out);
        let done = events.iter().filter(|data| **data == b"[DONE]").count();
        assert!(done <= 1, "a stream ends once");
        assert!(done == 0 || events.last().is_some_and(|data| data == b"[DONE]"), "nothing comes after the end");
    }
}

/// An error is classed, and its text is one bounded line.
pub fn error(data: &[u8]) {
    let Some(picked) = Picked::read(data) else { return };
    let status = 400 + u16::try_from(picked.split % 200).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if picked.flag(0) {
        let value = picked.rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        for name in ["retry-after", "retry-after-ms", "x-should-retry", "x-ratelimit-reset-requests"] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
    }
    let error = picked.adapter().error(status, &headers, picked.rest);
    assert!(error.message.len() <= bounds::ERROR_TEXT_BYTES_MAX, "a message has a bound");
    assert!(!error.message.chars().any(char::is_control), "a message is one line");
}

/// A request of another dialect becomes a request of OpenAI's that the hub reads, or is refused by name.
pub fn ingress_request(data: &[u8]) {
    let Some((picked, ingress)) = Picked::ingress(data) else { return };
    let asked = picked.asked(heard(ingress));
    let out = match ingress.request(&asked, picked.rest) {
        Ok(out) => out,
        Err(refusal) => return assert_says_why(&refusal),
    };
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&out).expect("a request is one object");
    assert!(!members.contains_key("stream_options"), "whoever sends it on asks for usage");
    let read = if asked.operation == Operation::Chat {
        ChatRequest::read(&out).map(drop)
    } else {
        EmbeddingRequest::read(&out).map(drop)
    };
    read.expect("a request is one of OpenAI's");
}

/// A reply of OpenAI's becomes one of another dialect, in JSON; and so does an error.
pub fn ingress_reply(data: &[u8]) {
    let Some((picked, ingress)) = Picked::ingress(data) else { return };
    let asked = Asked { stream: false, ..picked.asked(heard(ingress)) };
    if let Ok(out) = ingress.reply(&asked, picked.rest) {
        assert_object(&out);
    }
    let text = String::from_utf8_lossy(picked.rest).into_owned();
    let error = ErrorSaid {
        status: 400 + u16::try_from(picked.split % 200).unwrap_or_default(),
        code: &text,
        message: &text,
        param: picked.flag(0).then_some(text.as_str()),
        request_id: picked.flag(1).then_some("id"),
        retry_after_s: picked.flag(2).then_some(u64::MAX),
    };
    assert_object(&ingress.error(&error));
    assert_events(&ingress.error_frames(&error));
}

/// A stream of OpenAI's becomes one of another dialect: the same whether its frames come alone or together.
pub fn ingress_stream(data: &[u8]) {
    let Some((picked, ingress)) = Picked::ingress(data) else { return };
    let asked = Asked { stream: true, ..picked.asked(&[Operation::Chat]) };
    let mut raw: Vec<Vec<u8>> = Vec::new();
    frames(picked.rest, picked.rest.len(), |frame| raw.push(frame.raw.to_vec()));
    if raw.last().is_some_and(|last| !last.ends_with(b"\n\n") && !last.ends_with(b"\r\n\r\n")) {
        raw.pop();
    }
    let write = |together: usize| {
        let (mut writer, mut out) = (ingress.stream(&asked), Vec::new());
        for some in raw.chunks(together.max(1)) {
            writer.frames(&some.concat(), &mut out);
        }
        writer.end(&mut out);
        out
    };
    let alone = write(1);
    assert_eq!(write(picked.split), alone, "frames that come together give another stream");
    assert_eq!(write(raw.len()), alone, "frames that come together give another stream");
    for data in assert_events(&alone) {
        assert_ne!(data, b"[DONE]", "no dialect but OpenAI's ends so");
    }
}

/// The kinds of calls that a dialect has paths for.
fn heard(ingress: &dyn Ingress) -> &'static [Operation] {
    match ingress.dialect() {
        Dialect::Anthropic => &[Operation::Chat],
        Dialect::OpenAi | Dialect::Gemini => &[Operation::Chat, Operation::Embeddings],
    }
}

/// What the first bytes pick, and the rest.
struct Picked<'a> {
    entry: usize,
    flags: u8,
    split: usize,
    rest: &'a [u8],
}

impl<'a> Picked<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let (&[entry, flags, split], rest) = data.split_first_chunk()?;
        Some(Self { entry: entry.into(), flags, split: usize::from(split) + 1, rest })
    }

    fn ingress(data: &'a [u8]) -> Option<(Self, &'static dyn Ingress)> {
        let picked = Self::read(data).filter(|_| !INGRESSES.is_empty())?;
        let ingress = *picked.of(INGRESSES);
        Some((picked, ingress))
    }

    fn of<T>(&self, table: &'static [T]) -> &'static T {
        &table[self.entry % table.len()]
    }

    fn adapter(&self) -> &'static dyn Adapter {
        *self.of(ADAPTERS)
    }

    fn flag(&self, bit: u8) -> bool {
        self.flags & (1 << bit) != 0
    }

    /// A call of one of these kinds.
    fn asked(&self, operations: &[Operation]) -> Asked {
        Asked {
            operation: operations[usize::from(self.flags >> 5) % operations.len()],
            stream: self.flag(0),
            include_usage: self.flag(1),
            usage_added: self.flag(2),
            pass: self.flag(3),
            single: self.flag(4),
            vectors_base64: self.flag(4),
            seed: "7".into(),
            created_s: 1_700_000_000,
            ..Asked::for_model("a-model")
        }
    }
}

/// What a stream came to.
#[derive(Debug, Default, PartialEq)]
struct Streamed {
    out: Vec<u8>,
    tokens: Tokens,
    content: bool,
    terminal: bool,
    failed: bool,
}

/// Reads a stream as the daemon does, up to its first error.
fn read_stream(adapter: &dyn Adapter, asked: &Asked, bytes: &[u8], size: usize) -> Streamed {
    let mut reader = adapter.stream(asked);
    let mut streamed = Streamed::default();
    let mut take = |step: bursar::adapter::Step, raw: &[u8]| {
        if streamed.failed {
            return;
        }
        match step.forward {
            Forward::AsIs if step.seen.error.is_none() => streamed.out.extend_from_slice(raw),
            Forward::Replace(bytes) => streamed.out.extend(bytes),
            Forward::AsIs | Forward::Withhold => {}
        }
        streamed.tokens = streamed.tokens.updated_by(step.seen.tokens);
        streamed.content |= step.seen.content;
        streamed.terminal = step.seen.terminal || (streamed.terminal && !step.seen.reopened);
        streamed.failed = step.seen.error.is_some();
    };
    frames(bytes, size, |frame| take(reader.frame(&frame), frame.raw));
    take(reader.end(), b"");
    streamed
}

/// Reads frames out of bytes that come in pieces of this size.
fn frames(bytes: &[u8], size: usize, mut take: impl FnMut(Frame<'_>)) {
    let mut reader = Reader::new(FRAME_BYTES_MAX);
    for piece in bytes.chunks(size.max(1)) {
        reader.push(piece);
        while let Some(frame) = reader.next_frame().expect("no frame is as long") {
            take(frame);
        }
    }
    if let Some(frame) = reader.last_frame() {
        take(frame);
    }
}

/// The data of whole frames, each a JSON object or the mark of the end.
fn assert_events(out: &[u8]) -> Vec<Vec<u8>> {
    assert!(out.is_empty() || out.ends_with(b"\n\n"), "the last frame is not whole");
    let mut all = Vec::new();
    frames(out, out.len(), |frame| {
        assert!(!frame.stray, "a line is no field");
        if let Some(data) = frame.data.as_deref() {
            if data != b"[DONE]" {
                assert_object(data);
            }
            all.push(data.to_vec());
        }
    });
    all
}

fn assert_object(bytes: &[u8]) {
    let value: &RawValue =
        serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(bytes)));
    assert!(value.get().starts_with('{'), "no object: {value}");
}

fn assert_says_why(refusal: &Refusal) {
    assert!(!refusal.message.is_empty(), "a refusal says why");
}
