//! JSON as a tree with lines.

use std::collections::HashMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Unread;
use super::node::{Node, Value};
use crate::bounds;

/// Reads a text.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let root: &RawValue = serde_json::from_str(text)
        .map_err(|error| Unread::new(u32::try_from(error.line()).unwrap_or(1), "it is not valid JSON"))?;
    node(&Lines::of(text), root.get(), 0)
}

/// Where lines begin in a text.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The line of a part of the text.
    fn line(&self, part: &str) -> u32 {
        let at = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        u32::try_from(self.starts.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }
}

fn node(lines: &Lines<'_>, raw: &str, depth: usize) -> Result<Node, Unread> {
    let line = lines.line(raw);
    let broken = |_| Unread::new(line, "it is not valid JSON");
    if depth > bounds::IMPORT_DEPTH_MAX {
        return Err(Unread::new(line, "it is nested too deeply"));
    }
    let value = match raw.bytes().next() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(broken)?;
            let items = items.into_iter().map(|item| node(lines, item.get(), depth + 1));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let entries: HashMap<String, &RawValue> = serde_json::from_str(raw).map_err(broken)?;
            let mut entries: Vec<_> = entries.into_iter().collect();
            // In the order of the text.
            entries.sort_by_key(|(_, entry)| entry.get().as_ptr().addr());
            let entries = entries.into_iter().map(|(name, entry)| Ok((name, node(lines, entry.get(), depth + 1)?)));
            Value::Table(entries.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(Zeroizing::new(serde_json::from_str(raw).map_err(broken)?)),
        Some(b't') => Value::Flag(true),
        Some(b'f') => Value::Flag(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Number(raw.to_owned()),
    };
    Ok(Node { line, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_knows_its_line() {
        let root = read("[\n {\"a\": 1,\n  \"b\": [true, null, \"x\\u00e9\"]},\n\n 2.0]").ok().unwrap();
        let [first, second] = root.items() else { panic!("two items") };
        assert_eq!((first.line, first.get("b").unwrap().line, second.line, second.whole()), (2, 3, 5, Some(2)));
        assert_eq!(first.get("b").unwrap().items()[2].text(), Some("xé"));
    }

    #[test]
    fn what_is_broken_is_told_with_its_line_and_without_its_text() {
        let error = read("{\"a\": 1,\n\"sk-canary\" 2}").err().unwrap();
        assert!(error.line == 2 && !error.to_string().contains("canary"));
        assert!(read(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_err());
    }
}
