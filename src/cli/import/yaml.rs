//! YAML as a tree with lines: the events of a parser, put together.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use zeroize::Zeroizing;

use super::Unread;
use super::node::{Budget, Node, Value};
use crate::bounds;

/// Reads the first document of a text.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let mut tree = Tree { parser: Parser::new_from_str(text), anchors: HashMap::new(), budget: Budget::new() };
    loop {
        match tree.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node { line: 1, value: Value::Null }),
            (event, span) => return tree.node(event, span, 0),
        }
    }
}

struct Tree<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    budget: Budget,
}

impl<'a> Tree<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unread> {
        let next = self.parser.next().ok_or_else(|| Unread::new(1, "it ends too early"))?;
        next.map_err(|error| Unread::new(line(error.marker().line()), "it is not valid YAML"))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Unread> {
        let line = line(span.start.line());
        if depth > bounds::IMPORT_DEPTH_MAX {
            return Err(Unread::new(line, "it is nested too deeply"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) => (plain(&text), anchor),
            Event::Scalar(text, _, anchor, _) => (Value::Text(Zeroizing::new(text.into_owned())), anchor),
            Event::SequenceStart(anchor, _) => (Value::List(self.items(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Table(self.entries(depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Unread::new(line, "an alias names nothing"))?;
                self.budget.pay(&node)?;
                return Ok(Node { line, ..node });
            }
            _ => return Err(Unread::new(line, "it is not valid YAML")),
        };
        let node = Node { line, value };
        if matches!(node.value, Value::Null | Value::Flag(_) | Value::Number(_) | Value::Text(_)) {
            self.budget.pay(&node)?;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Unread> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(String, Node)>, Unread> {
        let (mut entries, mut merged): (Vec<(String, Node)>, Vec<Node>) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            match key.text() {
                // Another table, whose entries count where this one has none of their name.
                Some("<<") => merged.push(node),
                Some(name) => entries.push((name.to_owned(), node)),
                None => return Err(Unread::new(key.line, "a key is not a text")),
            }
        }
        for other in merged {
            let tables = if other.items().is_empty() { std::slice::from_ref(&other) } else { other.items() };
            for (name, node) in tables.iter().flat_map(Node::entries) {
                if !entries.iter().any(|(own, _)| own == name) {
                    entries.push((name.clone(), node.clone()));
                }
            }
        }
        Ok(entries)
    }
}

fn line(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// A scalar without quotes, as YAML 1.2's core schema reads it.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        text if text.parse::<f64>().is_ok_and(f64::is_finite) => Value::Number(text.to_owned()),
        text => Value::Text(Zeroizing::new(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_knows_its_line() {
        let root = read("# a comment\na: &x\n  b: 1\n  c: \"two\"\nlist:\n  - *x\n  - <<: *x\n    c: three\nno: ~\n")
            .ok()
            .unwrap();
        let a = root.get("a").unwrap();
        assert_eq!((a.get("b").unwrap().line, a.get("b").unwrap().whole()), (3, Some(1)));
        let [first, second] = root.get("list").unwrap().items() else { panic!("two items") };
        assert_eq!((first.get("c").unwrap().text(), second.get("c").unwrap().text()), (Some("two"), Some("three")));
        assert_eq!((second.get("b").unwrap().whole(), second.line), (Some(1), 7));
        assert!(root.get("no").is_none() && read("").ok().unwrap().entries().is_empty());
    }

    #[test]
    fn what_is_broken_or_blows_up_is_refused_with_its_line_and_without_its_text() {
        let bomb: String = (1..12).fold("a0: &a0 [sk-canary]\n".into(), |text, n| {
            format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
        });
        let deep = format!("a: {}1{}", "[".repeat(300), "]".repeat(300));
        for (text, lines) in [("a: b\nc: [sk-canary\n", 2..=4), (bomb.as_str(), 1..=12), (deep.as_str(), 1..=1)] {
            let error = read(text).err().unwrap();
            assert!(lines.contains(&error.line), "{error}");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
