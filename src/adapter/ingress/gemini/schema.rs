//! Google's `Schema`, a part of OpenAPI's, as JSON Schema.
//!
//! Source: Gemini API reference, "Schema": types in capitals, `nullable` beside them, counts that may be texts.

use serde_json::{Map, Value, json};

use super::object::{Object, camel};
use crate::adapter::Refusal;

/// The schema under either name: in Google's words, or in JSON Schema's own, which stays as it is.
pub(super) fn either(object: &mut Object<'_>, googles: &str, json: &str) -> Result<Option<Value>, Refusal> {
    let what = "a schema";
    let first: Option<Map<String, Value>> = object.take(googles, what)?;
    let second: Option<Value> = object.take(json, what)?;
    if first.is_some() && second.is_some() {
        return Err(object.wrong(json, &format!("says the same as {googles}: send one")));
    }
    Ok(first.map(|schema| Value::Object(rewrite(schema))).or(second))
}

fn rewrite(schema: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    let (mut nullable, mut ordering) = (false, Vec::new());
    for (key, value) in schema {
        let key = camel(&key);
        match (&*key, value) {
            ("type", Value::String(kind)) if kind == "TYPE_UNSPECIFIED" => {}
            ("type", Value::String(kind)) => put(&mut out, key, kind.to_ascii_lowercase().into()),
            ("nullable", value) => nullable = value == true,
            ("propertyOrdering", Value::Array(names)) => ordering = names,
            ("example", value) => put(&mut out, "examples".into(), json!([value])),
            ("items" | "additionalProperties", Value::Object(inner)) => put(&mut out, key, rewrite(inner).into()),
            ("anyOf" | "prefixItems", Value::Array(all)) => put(&mut out, key, all.into_iter().map(inner).collect()),
            ("properties" | "defs", Value::Object(all)) => {
                let all: Map<_, _> = all.into_iter().map(|(name, schema)| (name, inner(schema))).collect();
                put(&mut out, key, all.into());
            }
            (key, value) => put(&mut out, key.to_owned(), count(key, value)),
        }
    }
    order(&mut out, &ordering);
    if nullable {
        allow_null(&mut out);
    }
    out
}

fn put(out: &mut Map<String, Value>, key: String, value: Value) {
    out.insert(key, value);
}

fn inner(schema: Value) -> Value {
    match schema {
        Value::Object(schema) => rewrite(schema).into(),
        other => other,
    }
}

/// Counts are 64 bits wide at Google, and such numbers may stand as texts.
fn count(key: &str, value: Value) -> Value {
    let is_count = key.starts_with("min") || key.starts_with("max");
    let number = value.as_str().filter(|_| is_count).and_then(|text| text.parse::<i64>().ok());
    number.map_or(value, Value::from)
}

/// The order in which properties shall be written is the order in which they stand.
fn order(schema: &mut Map<String, Value>, names: &[Value]) {
    let Some(Value::Object(all)) = schema.get_mut("properties") else { return };
    let mut ordered = Map::new();
    for name in names.iter().filter_map(Value::as_str) {
        if let Some(schema) = all.shift_remove(name) {
            ordered.insert(name.to_owned(), schema);
        }
    }
    ordered.append(all);
    *all = ordered;
}

/// Lets null in, beside whatever else is.
fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(Value::Array(all)) = schema.get_mut("anyOf") {
        all.push(json!({"type": "null"}));
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
}
