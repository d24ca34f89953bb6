//! What a provider adds to an answer and wants back, carried through an app that knows nothing of it.
//!
//! Anthropic's apps hand back every block of an answer as it came, thoughts that they cannot read too
//! (docs.claude.com, "Extended thinking", "Thinking redaction"). So what OpenAI's dialect calls `extra_content` travels
//! as such a thought, right before the text or the call that it belongs to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::object::Object;
use crate::adapter::Refusal;
use crate::adapter::body::edit::{self, Becomes};
use crate::adapter::hub::ExtraContent;

/// How a thought begins that is Bursar's own. The figure is the format's version.
const MARK: &str = "bursar1.";

/// The block that carries it; none where there is nothing to carry.
pub(super) fn block(extra: &ExtraContent) -> Option<Value> {
    let json = serde_json::to_string(extra).ok().filter(|json| json != "{}")?;
    Some(json!({"type": "redacted_thinking", "data": format!("{MARK}{}", STANDARD.encode(json))}))
}

/// What a block carries; none where the thought is one of Anthropic's.
///
/// # Errors
/// When it is Bursar's, but was changed on the way.
pub(super) fn of_block(block: &mut Object<'_>) -> Result<Option<Value>, Refusal> {
    let data: String = block.require("data", "a text")?;
    let Some(carried) = data.strip_prefix(MARK) else { return Ok(None) };
    let json = STANDARD.decode(carried).ok();
    let extra = json.and_then(|json| serde_json::from_slice::<ExtraContent>(&json).ok());
    let extra = extra.ok_or_else(|| block.wrong("data", "is not as it was given: hand blocks back unchanged"))?;
    Ok(serde_json::to_value(extra).ok())
}

/// The body without Bursar's own thoughts, for Anthropic, which refuses what it did not think itself. A turn that was
/// nothing else goes with them.
pub(super) fn without(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, MARK.as_bytes())?;
    let turn = |turn: &RawValue| edit::member(turn, &["content"], |content| edit::items(content, unhidden));
    let body = serde_json::from_slice::<&RawValue>(body).ok()?;
    match edit::member(body, &["messages"], |messages| edit::items(messages, turn)) {
        Becomes::This(json) => Some(json.into_bytes()),
        Becomes::Same | Becomes::Gone => None,
    }
}

#[derive(Deserialize)]
struct Thought {
    #[serde(rename = "type")]
    kind: String,
    data: String,
}

fn unhidden(block: &RawValue) -> Becomes {
    match serde_json::from_str::<Thought>(block.get()) {
        Ok(thought) if thought.kind == "redacted_thinking" && thought.data.starts_with(MARK) => Becomes::Gone,
        _ => Becomes::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_of_bursars_own_does_not_reach_anthropic_and_all_else_stays_as_it_was() {
        let hidden = block(&ExtraContent::google("c2lnbmVk".into())).unwrap();
        let body = |hidden: &str, alone: &str| {
            format!(
                r#"{{"model" : "m", "messages": [{{"role":"user","content":"bursar1."}}{alone},{{"role":"assistant","content":[{hidden}{{"type":"redacted_thinking","data":"abc"}},{{"type":"tool_use","id":"a","name":"f","input":{{"price":1.10, "id":12345678901234567890123}}}}]}}]}}"#
            )
        };
        let alone = format!(r#",{{"role":"assistant","content":[{hidden}]}}"#);
        let without = without(body(&format!("{hidden},"), &alone).as_bytes()).unwrap();
        let spaceless = |text: &str| text.replace(' ', "");
        assert_eq!(spaceless(&String::from_utf8(without).unwrap()), spaceless(&body("", "")));
        assert_eq!(super::without(body("", "").as_bytes()), None, "a text that says the mark is no thought");
        assert_eq!(super::without(br#"{"messages":"bursar1."}"#), None);
    }
}
