//! One line of the log, put together by hand in the form that `tracing-subscriber` gives to all the others.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Microseconds, as in every other line.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Bytes that a line of an ordinary request takes.
const USUAL_BYTES: usize = 384;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text.
    Plain,
    /// Text for a terminal.
    Coloured,
    /// A JSON object.
    Json,
}

/// A line that is being put together.
pub struct Line {
    text: String,
    form: Form,
    target: &'static str,
}

impl Line {
    /// A line of the level `INFO` at a time in milliseconds since 1970.
    pub(super) fn begin(form: Form, at_ms: i64, target: &'static str) -> Self {
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push_str(match form {
            Form::Plain => "",
            Form::Coloured => "\x1b[2m",
            Form::Json => "{\"timestamp\":\"",
        });
        // A time that no calendar knows is left out.
        let _ = Timestamp::from_millisecond(at_ms).map(|at| TIME.print_timestamp(&at, &mut text));
        let mut line = Self { text, form, target };
        match form {
            Form::Plain => line.raw(&["  INFO ", target, ":"]),
            Form::Coloured => line.raw(&["\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2m", target, "\x1b[0m\x1b[2m:\x1b[0m"]),
            Form::Json => line.raw(&["\",\"level\":\"INFO\""]),
        }
        line
    }

    /// A field whose text needs no quotes: a name, an id.
    pub fn name(&mut self, key: &str, value: &str) {
        self.key(key);
        if self.form == Form::Json { self.quoted(value) } else { self.text.push_str(value) }
    }

    /// A field with any text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// A number.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.text, "{value}");
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
    }

    fn key(&mut self, key: &str) {
        match self.form {
            Form::Plain => self.raw(&[" ", key, "="]),
            Form::Coloured => self.raw(&[" \x1b[3m", key, "\x1b[0m\x1b[2m=\x1b[0m"]),
            Form::Json => self.raw(&[",\"", key, "\":"]),
        }
    }

    /// A text in quotes, on one line, whatever stands in it.
    fn quoted(&mut self, value: &str) {
        if self.form == Form::Json {
            self.text.push_str(&serde_json::Value::from(value).to_string());
        } else {
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn raw(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    /// The bytes of the whole line.
    pub(super) fn end(mut self) -> Vec<u8> {
        if self.form == Form::Json {
            let target = self.target;
            self.name("target", target);
            self.text.push('}');
        }
        self.text.push('\n');
        self.text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What `tracing-subscriber` itself writes for the same fields, with the time cut out.
    fn theirs(form: Form) -> String {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let say = || {
            tracing::info!(target: "bursar::request", id = %"req_1", ms = 7_u64, last = true, error = "no \"room\"\n");
        };
        if form == Form::Json {
            let layer = layer.json().flatten_event(true);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        } else {
            let layer = layer.with_ansi(form == Form::Coloured);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        }
        let bytes = kept.0.lock().unwrap().clone();
        timeless(String::from_utf8(bytes).unwrap())
    }

    fn ours(form: Form) -> String {
        let mut line = Line::begin(form, 1_764_380_645_123, "bursar::request");
        line.name("id", "req_1");
        line.number("ms", 7);
        line.flag("last", true);
        line.text("error", "no \"room\"\n");
        timeless(String::from_utf8(line.end()).unwrap())
    }

    /// The line with a 0 for each of its time's digits.
    fn timeless(line: String) -> String {
        let at = line.find("20").unwrap();
        let (time, rest) = line[at..].split_at("2026-11-29T01:44:05.123000Z".len());
        let time: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        format!("{}{time}{rest}", &line[..at])
    }

    #[test]
    fn a_line_looks_like_all_the_others() {
        for form in [Form::Plain, Form::Coloured, Form::Json] {
            assert_eq!(ours(form), theirs(form), "{form:?}");
        }
    }
}
