//! What a person says, as OpenAI's parts: text, pictures, sounds and PDFs, by their media type.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::object::Object;
use super::signature::standard;
use crate::adapter::Refusal;

/// OpenAI's words for sounds whose media type has another name. What else there is goes by the name in its type, and
/// whoever is asked says whether it can hear that.
const AUDIO_FORMATS: &[(&str, &str)] =
    &[("mpeg", "mp3"), ("mpga", "mp3"), ("x-wav", "wav"), ("wave", "wav"), ("vnd.wave", "wav"), ("x-aiff", "aiff")];

/// The host where Google keeps uploaded files, for those alone who show Google's key (ai.google.dev, "Files API").
const GOOGLES_FILES: &str = "https://generativelanguage.googleapis.com/";

/// One part.
pub(super) fn read(mut part: Object<'_>) -> Result<Value, Refusal> {
    // What a model signed comes back in its own turns; in the person's it says nothing.
    part.forget(&["thoughtSignature"]);
    let said = match (part.object("inlineData")?, part.object("fileData")?) {
        (Some(data), None) => inline(data)?,
        (None, Some(file)) => by_address(file)?,
        _ => return text(part).map(as_text),
    };
    part.refuse_rest()?;
    Ok(said)
}

/// The text of a part that may be nothing else.
pub(super) fn text(mut part: Object<'_>) -> Result<String, Refusal> {
    let text = part.text("text")?;
    part.refuse_rest()?;
    text.map(Cow::into_owned).ok_or_else(|| part.wrong("text", "is missing: a part must hold something"))
}

/// A text as a part.
pub(super) fn as_text(text: String) -> Value {
    json!({"type": "text", "text": text})
}

fn inline(mut blob: Object<'_>) -> Result<Value, Refusal> {
    let (kind, data) = (blob.need("mimeType")?, blob.need("data")?);
    blob.forget(&["displayName"]);
    blob.refuse_rest()?;
    let data = standard(&data);
    let url = || format!("data:{kind};base64,{data}");
    match kind.split_once('/') {
        Some(("image", _)) => Ok(json!({"type": "image_url", "image_url": {"url": url()}})),
        Some(("audio", format)) => {
            let format = AUDIO_FORMATS.iter().find(|(name, _)| *name == format).map_or(format, |(_, word)| word);
            Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        Some(("application", "pdf")) => {
            Ok(json!({"type": "file", "file": {"filename": "document.pdf", "file_data": url()}}))
        }
        _ => Err(blob.cannot("mimeType", &format!("is {kind:?}, which only Gemini can be given"))),
    }
}

/// Pictures may be fetched by whoever is asked; nothing else can be said by its address.
fn by_address(mut file: Object<'_>) -> Result<Value, Refusal> {
    let (kind, url) = (file.text("mimeType")?, file.need("fileUri")?);
    file.forget(&["displayName"]);
    file.refuse_rest()?;
    if !url.starts_with("https://") || url.starts_with(GOOGLES_FILES) {
        return Err(file.cannot("fileUri", "names a file that only Google has: send its bytes as inlineData"));
    }
    if !kind.is_some_and(|kind| kind.starts_with("image/")) {
        let message = "must be an image's where a file is given by its address: send other bytes as inlineData";
        return Err(file.cannot("mimeType", message));
    }
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}
