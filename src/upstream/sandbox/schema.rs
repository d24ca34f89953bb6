//! A small instance of a JSON schema, so that what parses a model's structured output can be tried without a model.
//!
//! Read are the keywords that providers' structured outputs take: types, enums and constants, properties, items,
//! bounds of numbers, lengths and formats, references and combinations. `pattern`, `not`, conditions and `uniqueItems`
//! are not: their instances may not satisfy them. Schemas come from apps and may be recursive or hostile, so depth and
//! size are bounded, and a reference inside itself is taken as having no instance: an optional property is then left
//! out, another alternative chosen.

mod number;

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::bounds;

/// What a string is, where the schema does not mind.
const TEXT: &str = "sandbox";
/// Bytes that every value is reckoned to take, beside its text.
const VALUE_BYTES: usize = 8;

/// A small instance of the schema, if one is found.
pub(super) fn instance(schema: &Value) -> Option<Value> {
    Maker { root: schema, open: Vec::new(), room: bounds::SANDBOX_INSTANCE_BYTES_MAX }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    /// References that are being resolved.
    open: Vec<&'a str>,
    /// Bytes that may still be made. What was made in vain counts too: work is bounded with it.
    room: usize,
}

impl<'a> Maker<'a> {
    fn make(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        if depth > bounds::SANDBOX_SCHEMA_DEPTH_MAX {
            return None;
        }
        self.take(VALUE_BYTES)?;
        let Value::Object(words) = schema else {
            return (*schema != Value::Bool(false)).then(|| TEXT.into());
        };
        let fixed = words.get("const").or_else(|| words.get("enum")?.get(0));
        if let Some(fixed) = fixed {
            self.take(fixed.to_string().len())?;
            return Some(fixed.clone());
        }
        if let Some(reference) = words.get("$ref").and_then(Value::as_str) {
            return self.refer(reference, depth);
        }
        let mut made = match kind(words) {
            Some(kind) => Some(self.of_kind(kind, words, depth)?),
            None => None,
        };
        for part in list(words, "allOf") {
            made = merge(made, self.make(part, depth + 1)?);
        }
        for several in ["anyOf", "oneOf"] {
            let choices = list(words, several);
            if !choices.is_empty() {
                made = merge(made, choices.iter().find_map(|choice| self.make(choice, depth + 1))?);
            }
        }
        Some(made.unwrap_or_else(|| TEXT.into()))
    }

    fn refer(&mut self, reference: &'a str, depth: usize) -> Option<Value> {
        if self.open.contains(&reference) {
            return None;
        }
        let target = self.root.pointer(reference.strip_prefix('#')?)?;
        self.open.push(reference);
        let made = self.make(target, depth + 1);
        self.open.pop();
        made
    }

    fn of_kind(&mut self, kind: &str, words: &'a Map<String, Value>, depth: usize) -> Option<Value> {
        match kind {
            "object" => self.object(words, depth),
            "array" => self.array(words, depth),
            "string" => self.string(words),
            "integer" => number::in_bounds(words, true),
            "number" => number::in_bounds(words, false),
            "boolean" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    /// All properties that have an instance; those that are required must have one.
    fn object(&mut self, words: &'a Map<String, Value>, depth: usize) -> Option<Value> {
        let required: HashSet<&str> = names(words, "required").collect();
        let mut made = Map::new();
        for (name, schema) in words.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.take(name.len())?;
            match self.make(schema, depth + 1) {
                Some(value) => made.insert(name.clone(), value),
                None if required.contains(name.as_str()) => return None,
                None => continue,
            };
        }
        for name in names(words, "required") {
            if !made.contains_key(name) {
                self.take(name.len() + TEXT.len())?;
                made.insert(name.to_owned(), TEXT.into());
            }
        }
        Some(Value::Object(made))
    }

    fn array(&mut self, words: &'a Map<String, Value>, depth: usize) -> Option<Value> {
        let length = words.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let first = list(words, "prefixItems");
        let rest = words.get("items").unwrap_or(&Value::Bool(true));
        let schemas = first.iter().chain(std::iter::repeat(rest));
        // Each item takes room, so that a huge `minItems` ends soon.
        schemas.take(usize::try_from(length).ok()?).map(|schema| self.make(schema, depth + 1)).collect()
    }

    fn string(&mut self, words: &Map<String, Value>) -> Option<Value> {
        let length = |name| words.get(name).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
        let mut text = words.get("format").and_then(Value::as_str).map_or(TEXT, formatted).to_owned();
        let (min, max) = (length("minLength").unwrap_or(0), length("maxLength").unwrap_or(usize::MAX));
        self.take(text.len().max(min))?;
        text.extend(std::iter::repeat_n('x', min.saturating_sub(text.len())));
        text.truncate(max);
        (min <= max).then_some(Value::String(text))
    }

    /// Takes room. Once there was too little, there is none: nobody tries the next alternative for ever.
    fn take(&mut self, bytes: usize) -> Option<()> {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(0);
        left.map(drop)
    }
}

/// The first type that a schema names, or else the one that its words belong to.
fn kind(words: &Map<String, Value>) -> Option<&str> {
    let says = |names: &[&str]| names.iter().any(|name| words.contains_key(*name));
    match words.get("type") {
        Some(Value::String(kind)) => Some(kind),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        _ if says(&["properties", "required", "additionalProperties"]) => Some("object"),
        _ if says(&["items", "prefixItems", "minItems"]) => Some("array"),
        _ if says(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) => Some("number"),
        _ if says(&["minLength", "maxLength", "format", "pattern"]) => Some("string"),
        _ => None,
    }
}

fn list<'a>(words: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    words.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn names<'a>(words: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    list(words, name).iter().filter_map(Value::as_str)
}

/// What a schema says itself with what a part of it says: objects are joined, of anything else the part knows more.
fn merge(own: Option<Value>, part: Value) -> Option<Value> {
    match (own, part) {
        (Some(Value::Object(mut own)), Value::Object(part)) => {
            for (name, value) in part {
                own.entry(name).or_insert(value);
            }
            Some(Value::Object(own))
        }
        (_, part) => Some(part),
    }
}

/// An example of each format, from the ranges that are reserved for examples.
fn formatted(format: &str) -> &'static str {
    match format {
        "date-time" => "2000-01-01T00:00:00Z",
        "date" => "2000-01-01",
        "time" => "00:00:00Z",
        "duration" => "PT0S",
        "email" => "sandbox@example.com",
        "hostname" => "example.com",
        "uri" | "url" | "iri" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn gives(schema: Value, expected: Value) {
        assert_eq!(instance(&schema), Some(expected), "of {schema}");
    }

    #[test]
    fn every_type_has_a_smallest_instance() {
        gives(json!({"type": "string"}), json!("sandbox"));
        gives(json!({"type": "integer"}), json!(0));
        gives(json!({"type": "number"}), json!(0));
        gives(json!({"type": "boolean"}), json!(false));
        gives(json!({"type": "null"}), json!(null));
        gives(json!({"type": "object"}), json!({}));
        gives(json!({"type": "array", "items": {"type": "string"}}), json!([]));
        gives(json!({"type": ["integer", "null"]}), json!(0));
        gives(json!({}), json!("sandbox"));
        gives(json!(true), json!("sandbox"));
        assert_eq!(instance(&json!(false)), None);
        assert_eq!(instance(&json!({"type": "tuple"})), None);
    }

    #[test]
    fn bounds_are_kept() {
        gives(json!({"type": "array", "items": {"type": "integer"}, "minItems": 2}), json!([0, 0]));
        gives(json!({"prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3}), json!([1, 2, 2]));
        gives(json!({"type": "string", "minLength": 9}), json!("sandboxxx"));
        gives(json!({"type": "string", "maxLength": 4}), json!("sand"));
        gives(json!({"type": "string", "format": "date"}), json!("2000-01-01"));
        gives(json!({"enum": ["red", "green"]}), json!("red"));
        gives(json!({"type": "string", "const": "x"}), json!("x"));
        gives(json!({"minimum": 3}), json!(3));
    }

    #[test]
    fn objects_have_all_properties_and_what_is_required_besides() {
        gives(
            json!({"type": "object", "required": ["a", "c"], "properties": {"a": {"type": "integer"}, "b": {}}}),
            json!({"a": 0, "b": "sandbox", "c": "sandbox"}),
        );
    }

    #[test]
    fn references_are_followed_and_recursion_ends() {
        gives(json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}), json!(0));
        gives(
            json!({"properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}}),
            json!({"value": 0, "next": {"value": 0}}),
        );
        gives(
            json!({"$ref": "#/$defs/node", "$defs": {"node": {
                "type": "object",
                "required": ["next", "children"],
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}
                }
            }}}),
            json!({"next": null, "children": []}),
        );
        assert_eq!(instance(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})), None);
        assert_eq!(instance(&json!({"$ref": "#/nowhere"})), None);
        assert_eq!(instance(&json!({"$ref": "https://example.com/schema"})), None);
    }

    #[test]
    fn combinations_are_joined() {
        gives(
            json!({
                "allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}],
                "anyOf": [{"properties": {"c": {"const": 3}}}, {"type": "null"}]
            }),
            json!({"a": 1, "b": 2, "c": 3}),
        );
        gives(json!({"oneOf": [false, {"type": "boolean"}]}), json!(false));
        gives(json!({"type": "string", "anyOf": [{"const": "x"}, {"const": "y"}]}), json!("x"));
    }

    #[test]
    fn hostile_schemas_end_soon() {
        assert_eq!(instance(&json!({"type": "array", "items": {}, "minItems": u64::MAX})), None);
        assert_eq!(instance(&json!({"type": "string", "minLength": u64::MAX})), None);
        assert_eq!(instance(&doubling("prefixItems")), None);
        assert_eq!(instance(&doubling("anyOf")), None);
    }

    /// Definitions that each use the next one twice, the last being impossible to satisfy within any bound.
    fn doubling(word: &str) -> Value {
        let mut definitions = Map::new();
        for level in 0..30 {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            definitions.insert(level.to_string(), json!({word: [next, next], "minItems": 2}));
        }
        definitions.insert("30".into(), json!({"minItems": 1_000_000}));
        json!({"$ref": "#/$defs/0", "$defs": definitions})
    }
}
