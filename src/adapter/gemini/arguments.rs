//! A call's arguments, streamed in pieces: each names its place by a JSON path, and texts grow.
//!
//! Source: Gemini API reference, "FunctionCall", `partialArgs` and `willContinue`; recorded traffic.

use serde_json::{Map, Value};

use super::wire::PartialArg;
use crate::bounds;

/// Arguments that are still coming.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    object: Map<String, Value>,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl Arguments {
    /// Arguments that begin with these.
    pub(super) fn begun(object: Map<String, Value>) -> Self {
        Self { object, bytes: 0 }
    }

    /// All of them, as OpenAI's text.
    pub(super) fn into_text(self) -> String {
        Value::Object(self.object).to_string()
    }

    /// Puts one piece in its place. None where its path cannot be followed, or leads beyond what a call may hold.
    pub(super) fn put(&mut self, piece: PartialArg) -> Option<()> {
        let path = piece.json_path.as_deref().unwrap_or_default();
        self.bytes += path.len() + piece.string_value.as_ref().map_or(8, String::len);
        let steps = steps(path)?;
        if self.bytes > bounds::CALL_ARGUMENTS_BYTES_MAX
            || steps.is_empty()
            || steps.len() > bounds::CALL_PATH_STEPS_MAX
        {
            return None;
        }
        let mut steps = steps.into_iter();
        let Step::Member(first) = steps.next()? else { return None };
        let mut place = self.object.entry(first).or_insert(Value::Null);
        for step in steps {
            place = descend(place, step)?;
        }
        match (place, piece.string_value) {
            (Value::String(text), Some(more)) => text.push_str(&more),
            (place, Some(text)) => *place = Value::String(text),
            (place, None) => {
                *place =
                    piece.number_value.map(Value::Number).or(piece.bool_value.map(Value::Bool)).unwrap_or_default();
            }
        }
        Some(())
    }
}

/// The place one step further down, made where there was nothing. Items come one after another.
fn descend(place: &mut Value, step: Step) -> Option<&mut Value> {
    match step {
        Step::Member(name) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            Some(place.as_object_mut()?.entry(name).or_insert(Value::Null))
        }
        Step::Item(index) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let items = place.as_array_mut()?;
            if index == items.len() {
                items.push(Value::Null);
            }
            items.get_mut(index)
        }
    }
}

/// The steps of a path such as `$.filters[0]['a name']`: the singular queries of RFC 9535.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end)?;
            (Step::Member(name.to_owned()), after)
        } else {
            bracket(rest.strip_prefix('[')?)?
        };
        if steps.len() > bounds::CALL_PATH_STEPS_MAX || matches!(&step, Step::Member(name) if name.is_empty()) {
            return None;
        }
        steps.push(step);
        rest = after;
    }
    Some(steps)
}

/// A step in brackets, whose opening one is gone: a quoted name, or a number.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (number, after) = inside.split_once(']')?;
        return Some((Step::Item(number.parse().ok()?), after));
    };
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in inside.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                continue;
            }
            c if c == quote => {
                let after = inside.get(at + 1..)?.strip_prefix(']')?;
                return Some((Step::Member(name), after));
            }
            _ => {}
        }
        name.push(c);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(path: &str, text: &str) -> PartialArg {
        PartialArg { json_path: Some(path.into()), string_value: Some(text.into()), ..PartialArg::default() }
    }

    #[test]
    fn texts_grow_and_places_are_made_on_the_way() {
        let mut arguments = Arguments::default();
        for (path, text) in [("$.a", "x"), ("$.a", "y"), ("$.list[0]['b.c']", "1"), ("$.list[1][\"d'\"]", "2")] {
            assert_eq!(arguments.put(piece(path, text)), Some(()), "{path}");
        }
        let number = PartialArg {
            json_path: Some("$.n".into()),
            number_value: Some(serde_json::Number::from(3)),
            ..PartialArg::default()
        };
        assert_eq!(arguments.put(number), Some(()));
        assert_eq!(arguments.into_text(), r#"{"a":"xy","list":[{"b.c":"1"},{"d'":"2"}],"n":3}"#);
    }

    #[test]
    fn a_path_that_cannot_be_followed_is_no_panic_and_no_flood() {
        let deep = format!("${}", ".a".repeat(10_000));
        for path in ["", "$", "a", "$.", "$[0]", "$.a[4000000000]", "$.a['", "$.a[", "$.a[x]", "$..b", &deep] {
            assert_eq!(Arguments::default().put(piece(path, "x")), None, "{path}");
        }
        let mut arguments = Arguments::default();
        assert_eq!(arguments.put(piece("$.a", "x")), Some(()));
        assert_eq!(arguments.put(piece("$.a.b", "x")), None);
    }
}
