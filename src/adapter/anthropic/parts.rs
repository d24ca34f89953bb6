//! What a message holds, as blocks: text, pictures and documents.
//!
//! Bytes travel inside; an https address is handed on and fetched by Anthropic, never by Bursar: a daemon that fetches
//! what an app names is a way into the host's network.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::NAME;
use super::wire::{Block, Payload, Source};
use crate::adapter::Refusal;
use crate::adapter::hub::{self, Content, File, ImageUrl, cannot, data_url, unsaid_part, wrong};

/// Pictures that Anthropic takes (API reference, "Base64ImageSource").
const IMAGE_TYPES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The blocks of a content; `param` is where it stands. Texts of nothing but white space are left out: Anthropic refuses
/// them, and other models make them beside their calls.
pub(super) fn encode<'a>(content: Option<Content<'a>>, param: &str) -> Result<Vec<Block<'a>>, Refusal> {
    let mut blocks = match content {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![Payload::Text { text }.into()],
        Some(Content::Parts(parts)) => {
            let one = |(position, part)| encode_part(part, &format!("{param}.content[{position}]"));
            parts.into_iter().enumerate().map(one).collect::<Result<_, _>>()?
        }
    };
    blocks.retain(|block| !matches!(&block.payload, Payload::Text { text } if text.trim().is_empty()));
    Ok(blocks)
}

fn encode_part<'a>(mut part: hub::Part<'a>, param: &str) -> Result<Block<'a>, Refusal> {
    let cache_control = part.cache_control.take();
    let kind = part.kind.clone();
    let payload = match (&*kind, part) {
        ("text", hub::Part { text: Some(text), .. }) | ("refusal", hub::Part { refusal: Some(text), .. }) => {
            Payload::Text { text: text.into() }
        }
        ("image_url", hub::Part { image_url: Some(image), .. }) => image_block(image, param)?,
        ("file", hub::Part { file: Some(file), .. }) => file_block(file, param)?,
        ("input_audio", _) => return Err(cannot(param, format!("{param} is a sound, which {NAME} cannot be given"))),
        (kind, _) => return Err(unsaid_part(kind, param, NAME)),
    };
    Ok(Block { payload, cache_control })
}

fn image_block<'a>(image: ImageUrl<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    if image.url.starts_with("https://") {
        return Ok(Payload::Image { source: Source::Url { url: image.url } });
    }
    if !image.url.starts_with("data:") {
        return Err(wrong(param, format!("{param}.image_url.url must be an https address or a data: URL")));
    }
    let (media_type, data) = data_url(image.url, param)?;
    if !IMAGE_TYPES.contains(&&*media_type) {
        return Err(cannot(param, format!("{param} is a picture of type {media_type:?}, which {NAME} does not take")));
    }
    Ok(Payload::Image { source: Source::Base64 { media_type, data } })
}

/// A document: a PDF goes on untouched, a text as text.
fn file_block<'a>(file: File<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    if let Some(id) = file.file_id {
        let message = format!("{param} names the file {id:?}, which {NAME} does not have: send its bytes");
        return Err(cannot(param, message));
    }
    let (media_type, data) = data_url(file.file_data, param)?;
    let source = match &*media_type {
        "application/pdf" => Source::Base64 { media_type, data },
        "text/plain" => {
            let text = STANDARD.decode(&*data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| wrong(param, format!("{param} must hold UTF-8 text as base64")))?;
            Source::Text { media_type: "text/plain", data: text }
        }
        _ => {
            let message =
                format!("{param} is a file of type {media_type:?}: {NAME} takes application/pdf and text/plain");
            return Err(cannot(param, message));
        }
    };
    Ok(Payload::Document { source, title: file.filename })
}
