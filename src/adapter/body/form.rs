//! What Bursar reads of a form (`multipart/form-data`, RFC 7578): calls that bring a file along.
//!
//! Like a JSON body it is scanned once and passes as it came, but for the model.

use std::ops::Range;

use memchr::memmem;

use super::{BodyError, Scan, Written, check_model, wrong};
use crate::api::{Capabilities, Operation};
use crate::bounds;

/// The boundary that a content type names, where it is a form's.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// Scans a form.
///
/// # Errors
/// When it is no form, names no model or names it twice.
pub fn scan_form(operation: Operation, boundary: &str, body: &[u8]) -> Result<Scan, BodyError> {
    let fields = fields(boundary, body)?;
    let text = |name: &str| -> Result<Option<(&str, Range<usize>)>, BodyError> {
        let mut all = fields.iter().filter(|field| field.name == name);
        let Some(field) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(wrong(name, format!("the field {name:?} stands twice: send it once")));
        }
        let text = body.get(field.at.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(|text| Some((text, field.at.clone()))).ok_or_else(|| wrong(name, format!("{name} must be text")))
    };
    let (model, at) = text("model")?
        .ok_or_else(|| wrong("model", "model is missing: it must be a field that names a model or a route"))?;
    check_model(model)?;
    let stream = text("stream")?.is_some_and(|(stream, _)| stream == "true");
    Ok(Scan {
        stream,
        models_at: vec![at],
        needs: operation.capability().map_or(Capabilities::NONE, |capability| Capabilities::NONE.with(capability)),
        ..Scan::of(Written::Plain, model.to_owned())
    })
}

/// A field of a form.
struct Field<'a> {
    name: &'a str,
    /// Where its value stands.
    at: Range<usize>,
}

fn fields<'a>(boundary: &str, body: &'a [u8]) -> Result<Vec<Field<'a>>, BodyError> {
    let ends = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&ends);
    // The first one stands at the very beginning, where no line goes before it.
    let first = ends.trim_start();
    let mut at = if body.starts_with(first.as_bytes()) {
        first.len()
    } else {
        finder.find(body).map(|at| at + ends.len()).ok_or_else(|| not_a_form("its boundary does not occur"))?
    };
    let mut fields = Vec::new();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let head_at = at + line_end(rest).ok_or_else(|| not_a_form("a boundary is followed by something else"))?;
        let head = body.get(head_at..).unwrap_or_default();
        let (value_at, name) = head_of(head)?;
        let value_at = head_at + value_at;
        let value = body.get(value_at..).unwrap_or_default();
        let length = finder.find(value).ok_or_else(|| not_a_form("it ends within a field"))?;
        if let Some(name) = name {
            fields.push(Field { name, at: value_at..value_at + length });
        }
        if fields.len() > bounds::FORM_FIELDS_MAX {
            return Err(not_a_form(&format!("it has more than {} fields", bounds::FORM_FIELDS_MAX)));
        }
        at = value_at + length + ends.len();
    }
}

/// The length of a field's head, and the name in it.
fn head_of(head: &[u8]) -> Result<(usize, Option<&str>), BodyError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(head, &mut headers) {
        Ok(httparse::Status::Complete((length, headers))) => {
            let said = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-disposition"));
            let said = said.and_then(|header| std::str::from_utf8(header.value).ok());
            Ok((length, said.and_then(|said| parameter(said, "name"))))
        }
        _ => Err(not_a_form("the head of a field cannot be read")),
    }
}

/// More headers than that has no field that any client writes.
const HEADERS_MAX: usize = 16;

/// The length of the spaces and the line end that may follow a boundary.
fn line_end(rest: &[u8]) -> Option<usize> {
    let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    rest.get(spaces..)?.starts_with(b"\r\n").then_some(spaces + 2)
}

/// A parameter of a header, with or without quotes. A quoted one may hold anything: files are named by people.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let end = unquoted(rest, ';').unwrap_or(rest.len());
        let (one, behind) = rest.split_at(end);
        if let Some((key, value)) = one.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            let value = value.trim();
            return Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
        }
        rest = behind.strip_prefix(';')?;
    }
}

/// Where a character stands outside of quotes, in which a backslash takes the next one's meaning (RFC 9110, 5.6.4).
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.find(|c| {
        let escapes = quoted && !escaped && c == '\\';
        quoted ^= c == '"' && !escaped;
        escaped = escapes;
        !quoted && c == wanted
    })
}

fn not_a_form(why: &str) -> BodyError {
    BodyError { message: format!("the body is no form as its content type says: {why}"), param: None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::api::Capability;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b.wav\"\r\nContent-Type: \
                        audio/wav\r\n\r\nRI\r\n--FF\r\n--b\r\ncontent-disposition: form-data; name=model\r\n\r\nroute\r\n--b \
                        \r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b--\r\n";

    fn scan(form: &str) -> Result<Scan, BodyError> {
        scan_form(Operation::Transcription, "b", form.as_bytes())
    }

    #[test]
    fn a_form_passes_with_another_model_and_nothing_else_changed() {
        let scan = scan(FORM).unwrap();
        assert_eq!((scan.model.as_str(), scan.stream), ("route", true));
        assert!(scan.needs.iter().eq([Capability::Transcription]));
        let sent = scan.splice(&Bytes::from_static(FORM.as_bytes()), "whisper-1", true).to_vec();
        assert_eq!(String::from_utf8(sent).unwrap(), FORM.replace("route", "whisper-1"));
    }

    #[test]
    fn a_files_name_that_looks_like_a_parameter_is_none() {
        for filename in ["; name=model; ", r#"\"; name=\"model"#, "a;name=model"] {
            let head = format!("form-data; filename=\"{filename}\"; name=\"file\"");
            assert_eq!(parameter(&head, "name"), Some("file"), "{head}");
        }
        assert_eq!(parameter("form-data; filename=\"a", "name"), None);
    }

    #[test]
    fn what_is_no_form_is_refused_with_the_reason() {
        let because = |form: &str| scan(form).unwrap_err().message;
        assert!(because("{}").contains("its boundary does not occur"));
        assert!(because("--b\r\nContent-Disposition: form-data; name=model\r\n\r\nm").contains("ends within a field"));
        assert!(because("--bmodel").contains("followed by something else"));
        assert!(because("--b--").contains("model is missing"));
        assert!(because(&FORM.replace("\"stream\"", "model")).contains("stands twice"));
        for end in 0..FORM.len() - 4 {
            assert!(scan(&FORM[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn the_boundary_is_read_from_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=x-1"), Some("x-1"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"a b\""), Some("a b"));
        for none in
            ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", "multipart/form-data; boundary="]
        {
            assert_eq!(boundary(none), None);
        }
    }
}
