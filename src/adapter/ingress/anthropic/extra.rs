//! What a provider adds to an answer and wants back, carried through an app that knows nothing of it.
//!
//! Anthropic's apps hand back every block of an answer as it came, thoughts that they cannot read too
//! (docs.claude.com, "Extended thinking", "Thinking redaction"). So what OpenAI's dialect calls `extra_content` travels
//! as such a thought, right before the text or the call that it belongs to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::object::Object;
use crate::adapter::Refusal;
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
