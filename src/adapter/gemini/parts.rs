//! What a message holds, as parts: text, pictures, sounds and files.
//!
//! Bytes travel inside (`inlineData`); an https address is handed on (`fileData`) and fetched by Google, never by
//! Bursar: a daemon that fetches what an app names is a way into the host's network.

use std::borrow::Cow;

use super::NAME;
use super::wire::{Blob, FileData, Part, Payload};
use crate::adapter::Refusal;
use crate::adapter::hub::{self, Audio, Content, File, ImageUrl, cannot, data_url, unsaid_part, wrong};

/// Sounds that Gemini takes (ai.google.dev, "Audio understanding").
const AUDIO_FORMATS: &[&str] = &["wav", "mp3", "aiff", "aac", "ogg", "flac"];

/// Pictures that Gemini takes (ai.google.dev, "Image understanding"), by the end of an address.
const IMAGE_TYPES: &[(&str, &str)] = &[
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
];

/// The parts of a content; `param` is where it stands.
pub(super) fn encode<'a>(content: Option<Content<'a>>, param: &str) -> Result<Vec<Part<'a>>, Refusal> {
    match content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(vec![Payload::Text(text).into()]),
        Some(Content::Parts(parts)) => {
            let one = |(position, part)| encode_part(part, &format!("{param}.content[{position}]")).map(Part::from);
            parts.into_iter().enumerate().map(one).collect()
        }
    }
}

/// A content that may only be text, as one text.
pub(super) fn text(content: Option<Content<'_>>, param: &str) -> Result<String, Refusal> {
    let mut all = String::new();
    for (position, part) in encode(content, param)?.into_iter().enumerate() {
        let Payload::Text(text) = part.payload else {
            let param = format!("{param}.content[{position}]");
            return Err(cannot(&param, format!("{param} must be text: {NAME} takes nothing else there")));
        };
        all.push_str(&text);
    }
    Ok(all)
}

fn encode_part<'a>(part: hub::Part<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    let kind = part.kind.clone();
    match (&*kind, part) {
        ("text", hub::Part { text: Some(text), .. }) | ("refusal", hub::Part { refusal: Some(text), .. }) => {
            Ok(Payload::Text(text.into()))
        }
        ("image_url", hub::Part { image_url: Some(image), .. }) => image_data(image, param),
        ("input_audio", hub::Part { input_audio: Some(audio), .. }) => audio_data(audio, param),
        ("file", hub::Part { file: Some(file), .. }) => file_data(file, param),
        (kind, _) => Err(unsaid_part(kind, param, NAME)),
    }
}

fn image_data<'a>(image: ImageUrl<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    if image.url.starts_with("data:") {
        return inline(image.url, param);
    }
    if !image.url.starts_with("https://") {
        return Err(wrong(param, format!("{param}.image_url.url must be an https address or a data: URL")));
    }
    let path = image.url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let known = IMAGE_TYPES.iter().find(|(end, _)| path.ends_with(end));
    Ok(Payload::FileData(FileData { mime_type: known.map(|&(_, kind)| kind), file_uri: image.url }))
}

fn audio_data<'a>(audio: Audio<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    if !AUDIO_FORMATS.contains(&&*audio.format) {
        let message = format!("{param} is a sound in the format {:?}, which {NAME} does not take", audio.format);
        return Err(cannot(param, message));
    }
    Ok(Payload::InlineData(Blob { mime_type: format!("audio/{}", audio.format).into(), data: audio.data }))
}

fn file_data<'a>(file: File<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    if let Some(id) = file.file_id {
        return Err(cannot(
            param,
            format!("{param} names the file {id:?}, which {NAME} does not have: send its bytes"),
        ));
    }
    inline(file.file_data, param)
}

/// The bytes of a `data:` URL.
fn inline<'a>(url: Cow<'a, str>, param: &str) -> Result<Payload<'a>, Refusal> {
    let (mime_type, data) = data_url(url, param)?;
    Ok(Payload::InlineData(Blob { mime_type: mime_type.into(), data }))
}
