//! Each dialect's two halves against each other: what an adapter says to a provider, the same dialect's ingress must hear
//! as what was meant; and what an ingress says to an app, the adapter must read as what was said.
//!
//! Neither half was made to fit the other, so a word that one drops, or takes to mean something else, shows here. What
//! cannot be carried must be refused by name. `BURSAR_CONVERSATIONS` tells how many random cases each test tries.

mod asked;
mod meaning;
mod said;

use bursar::adapter::ingress::{self, Ingress};
use bursar::adapter::sse::Reader;
use bursar::adapter::{ADAPTERS, Adapter, Asked, Dialect, Forward};
use bursar::api::{Operation, Tokens};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::Value;

/// Both halves of a dialect.
struct Halves {
    dialect: Dialect,
    adapter: &'static dyn Adapter,
    ingress: &'static dyn Ingress,
}

impl Halves {
    fn of(dialect: Dialect) -> Self {
        let adapter = ADAPTERS.iter().find(|adapter| adapter.facts().dialect == Some(dialect));
        let adapter = *adapter.unwrap_or_else(|| panic!("no adapter speaks {dialect:?}"));
        let ingress = ingress::of(dialect).unwrap_or_else(|| panic!("no ingress hears {dialect:?}"));
        Self { dialect, adapter, ingress }
    }

    /// There and back: a request to a provider, heard as if it came from an app.
    fn request(&self, body: &Value, stream: bool) -> TestCaseResult {
        let asked = asked(stream);
        let sent = match self.adapter.encode(&asked, body.to_string().as_bytes()) {
            Ok(sent) => sent,
            Err(refusal) => {
                let named = refusal.param.as_deref().unwrap_or_default();
                let field = named.split(['.', '[']).next().unwrap_or_default();
                prop_assert!(body.get(field).is_some(), "{refusal:?} names no field of {body}");
                prop_assert!(
                    asked::may_be_refused(self.dialect, body, field),
                    "{refusal:?} refuses what {:?} can say: {body}",
                    self.dialect
                );
                return Ok(());
            }
        };
        let shown = String::from_utf8_lossy(&sent).into_owned();
        let heard = self.ingress.request(&asked, &sent);
        let heard = heard.map_err(|refusal| TestCaseError::fail(format!("{refusal:?} of {shown} for {body}")))?;
        let heard: Value = serde_json::from_slice(&heard).unwrap();
        prop_assert_eq!(heard["stream"] == true, stream, "streamed or not: {}", heard);
        let (meant, understood) = (meaning::request(body), meaning::request(&heard));
        let lost = meaning::lost(self.dialect, &meant, &understood);
        prop_assert!(lost.is_none(), "{}\nof {body}\nsaid {shown}\nheard {heard}", lost.unwrap_or_default());
        Ok(())
    }

    /// There and back: an answer to an app, read as if it came from a provider.
    fn reply(&self, said: &Value) -> TestCaseResult {
        let asked = asked(false);
        let told = self.ingress.reply(&asked, said.to_string().as_bytes()).unwrap();
        let shown = String::from_utf8_lossy(&told).into_owned();
        let read = self.adapter.reply(&asked, &Bytes::from(told));
        let read = read.map_err(|error| TestCaseError::fail(format!("{error} in {shown}, of {said}")))?;
        prop_assert!(read.seen.error.is_none(), "{:?} in {shown}, of {said}", read.seen.error);
        let body: Value = serde_json::from_slice(&read.body.expect("it is translated")).unwrap();
        self.compare(said, &meaning::reply(&body), read.seen.tokens, &shown)
    }

    /// The same for a stream, whose frames come to the ingress in handfuls.
    fn stream(&self, said: &Value, handful: usize) -> TestCaseResult {
        let asked = asked(true);
        let frames = said::frames(said);
        let (mut writer, mut told) = (self.ingress.stream(&asked), Vec::new());
        for some in frames.chunks(handful) {
            writer.frames(some.concat().as_bytes(), &mut told);
        }
        writer.end(&mut told);
        let shown = String::from_utf8_lossy(&told).into_owned();
        let (mut reader, mut events) = (self.adapter.stream(&asked), Reader::new(1 << 20));
        let (mut out, mut tokens, mut terminal) = (Vec::new(), Tokens::default(), false);
        events.push(&told);
        loop {
            let frame = events.next_frame().unwrap();
            let ends = frame.is_none();
            let step = match frame {
                Some(frame) => reader.frame(&frame),
                None => reader.end(),
            };
            prop_assert!(step.seen.error.is_none(), "{:?} in {shown}, of {said}", step.seen.error);
            tokens = tokens.updated_by(step.seen.tokens);
            terminal |= step.seen.terminal;
            match step.forward {
                Forward::Replace(bytes) => out.extend(bytes),
                Forward::Withhold => {}
                Forward::AsIs => prop_assert!(false, "bytes of another dialect pass: {shown}"),
            }
            if ends {
                break;
            }
        }
        prop_assert!(terminal, "the stream has no end: {shown}");
        let out = String::from_utf8(out).unwrap();
        let gathered = said::gathered(&out);
        prop_assert!(out.ends_with("data: [DONE]\n\n"), "the stream has no end: {out}");
        self.compare(said, &meaning::reply(&gathered), tokens, &shown)
    }

    fn compare(&self, said: &Value, read: &Value, tokens: Tokens, shown: &str) -> TestCaseResult {
        let meant = meaning::reply(said);
        let lost = meaning::lost(self.dialect, &meant, read);
        prop_assert!(lost.is_none(), "{}\nof {said}\ntold {shown}", lost.unwrap_or_default());
        let usage = &said["usage"];
        let wanted = (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64());
        prop_assert_eq!((tokens.input, tokens.output), wanted, "of {} told {}", said, shown);
        Ok(())
    }
}

fn asked(stream: bool) -> Asked {
    Asked {
        operation: Operation::Chat,
        stream,
        include_usage: true,
        seed: "7".into(),
        created_s: 1_700_000_000,
        ..Asked::for_model("a-model")
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("BURSAR_CONVERSATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(512);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Where everything were refused, nothing would be tested.
#[test]
fn most_requests_are_carried() {
    for dialect in [Dialect::Gemini, Dialect::Anthropic] {
        let (halves, mut runner) = (Halves::of(dialect), TestRunner::deterministic());
        let mut body = || asked::body().new_tree(&mut runner).unwrap().current().to_string();
        let carried = (0..200).filter(|_| halves.adapter.encode(&asked(false), body().as_bytes()).is_ok()).count();
        assert!(carried > 100, "{dialect:?} carried {carried} of 200");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn gemini_hears_what_was_asked_of_gemini(body in asked::body(), stream: bool) {
        Halves::of(Dialect::Gemini).request(&body, stream)?;
    }

    #[test]
    fn anthropic_hears_what_was_asked_of_anthropic(body in asked::body(), stream: bool) {
        Halves::of(Dialect::Anthropic).request(&body, stream)?;
    }

    #[test]
    fn gemini_reads_what_it_was_told(said in said::reply(2)) {
        Halves::of(Dialect::Gemini).reply(&said)?;
    }

    #[test]
    fn anthropic_reads_what_it_was_told(said in said::reply(1)) {
        Halves::of(Dialect::Anthropic).reply(&said)?;
    }

    #[test]
    fn gemini_reads_the_stream_that_it_was_told(said in said::reply(1), handful in 1_usize..5) {
        Halves::of(Dialect::Gemini).stream(&said, handful)?;
    }

    #[test]
    fn anthropic_reads_the_stream_that_it_was_told(said in said::reply(1), handful in 1_usize..5) {
        Halves::of(Dialect::Anthropic).stream(&said, handful)?;
    }
}
