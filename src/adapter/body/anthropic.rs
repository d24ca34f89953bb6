//! What Bursar reads of a body of Anthropic's Messages API (docs.anthropic.com, "Messages").

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, Part, is_of_type, parts};
use super::{BodyError, Scan, in_body};
use crate::api::{Capabilities, Capability};

pub(super) fn name(key: &str) -> Option<&'static str> {
    Some(match key {
        "model" => "model",
        "stream" => "stream",
        "max_tokens" => "max_tokens",
        "metadata" => "metadata",
        "messages" => "messages",
        "tools" => "tools",
        "output_config" => "output_config",
        _ => return None,
    })
}

pub(super) fn scan(fields: &Fields<'_>) -> Result<Scan, BodyError> {
    let scan = in_body(fields)?;
    let output: Option<Output<'_>> = fields.optional("output_config", "an object")?;
    let mut needs = fields.needs_of_messages(scan.stream, part)?;
    if output.and_then(|output| output.format).is_some_and(|format| is_of_type(format, "json_schema")) {
        needs = needs.with(Capability::JsonSchema);
    }
    Ok(Scan { max_output_tokens: fields.optional("max_tokens", "a whole number")?, needs, ..scan })
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(default, borrow)]
    format: Option<&'a RawValue>,
}

/// The parts of a tool's result count as well: a tool may have taken a picture.
fn part(needs: Capabilities, part: &Part<'_>) -> Capabilities {
    let within = |content: &RawValue| parts(content).iter().fold(needs, of_kind);
    match part.content {
        Some(content) if part.kind.as_ref().is_some_and(|kind| kind.0 == "tool_result") => within(content),
        _ => of_kind(needs, part),
    }
}

fn of_kind(needs: Capabilities, part: &Part<'_>) -> Capabilities {
    match part.kind.as_ref().map(|kind| &*kind.0) {
        Some("image") => needs.with(Capability::Vision),
        Some("document") => needs.with(Capability::Pdf),
        _ => needs,
    }
}
