//! The schema of an answer, in the part of JSON Schema that Gemini keeps to.
//!
//! A promise about the answer's form must hold. So a keyword outside the documented list is rewritten where something
//! else says exactly the same, dropped where it only annotates, and refused by name and place otherwise: some are
//! answered with 200 all the same, but nothing says that they are kept to.
//!
//! Source: Gemini API reference, "GenerationConfig", `responseJsonSchema`.

use serde_json::{Map, Value};

use super::NAME;
use crate::adapter::Refusal;
use crate::adapter::hub::{JsonSchema, cannot, wrong};

/// Where the schema stands in the request.
const PLACE: &str = "response_format.json_schema.schema";

/// Keywords that are taken as they are, and hold no schemas.
const KEPT: &[&str] = &[
    "$id",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "required",
    "propertyOrdering",
];
/// Keywords that say something to people, and forbid nothing.
const ANNOTATIONS: &[&str] =
    &["$schema", "$comment", "default", "deprecated", "example", "examples", "readOnly", "writeOnly"];
/// Beside a `$ref` Google allows only keywords that begin with `$`; these may go, as they too forbid nothing.
const ANNOTATIONS_BESIDE_REF: &[&str] = &["title", "description"];

/// The schema as Gemini takes it.
pub(super) fn rewrite(schema: &Map<String, Value>) -> Result<Value, Refusal> {
    object(schema, PLACE).map(Value::Object)
}

/// The schema with the description beside it inside: Google has one place for both.
pub(super) fn described(format: JsonSchema) -> Option<Map<String, Value>> {
    let Some(description) = format.description else { return format.schema };
    let mut schema = format.schema.unwrap_or_default();
    let inner = schema.get("description").and_then(Value::as_str).map(|inner| format!("{description}\n\n{inner}"));
    schema.insert("description".into(), inner.unwrap_or(description).into());
    Some(schema)
}

fn object(schema: &Map<String, Value>, place: &str) -> Result<Map<String, Value>, Refusal> {
    let mut out = Map::new();
    let is_ref = schema.contains_key("$ref");
    for (keyword, value) in schema {
        if ANNOTATIONS.contains(&&**keyword) || (is_ref && ANNOTATIONS_BESIDE_REF.contains(&&**keyword)) {
            continue;
        }
        if is_ref && !keyword.starts_with('$') {
            return Err(refused(keyword, place, "beside $ref"));
        }
        let (keyword, value) = member(keyword, value, schema, place)?;
        if out.insert(keyword.clone(), value).is_some() {
            return Err(refused(&keyword, place, "twice, once under a name that means the same"));
        }
    }
    Ok(out)
}

/// One keyword, under the name and with the value that Gemini knows it by.
fn member(
    keyword: &str,
    value: &Value,
    siblings: &Map<String, Value>,
    place: &str,
) -> Result<(String, Value), Refusal> {
    let same = |value| Ok((keyword.to_owned(), value));
    match keyword {
        _ if KEPT.contains(&keyword) => same(value.clone()),
        "enum" if value.as_array().is_some_and(|all| all.iter().all(is_text_or_number)) => same(value.clone()),
        "const" if is_text_or_number(value) => Ok(("enum".into(), Value::Array(vec![value.clone()]))),
        "enum" | "const" => Err(refused(keyword, place, "of anything but texts and numbers")),
        "items" => same(schema(value, &inside(place, keyword))?),
        "additionalProperties" if value.is_boolean() => same(value.clone()),
        "additionalProperties" => same(schema(value, &inside(place, keyword))?),
        "prefixItems" | "anyOf" => same(list(value, &inside(place, keyword))?),
        // The reference states that Gemini reads `oneOf` as `anyOf`.
        "oneOf" => Ok(("anyOf".into(), list(value, &inside(place, keyword))?)),
        "properties" | "$defs" => same(map(value, &inside(place, keyword))?),
        "exclusiveMinimum" => neighbour(keyword, value, siblings, 1, place).map(|value| ("minimum".into(), value)),
        "exclusiveMaximum" => neighbour(keyword, value, siblings, -1, place).map(|value| ("maximum".into(), value)),
        _ => Err(refused(keyword, place, "")),
    }
}

/// For whole numbers, "more than 3" is "4 or more".
fn neighbour(
    keyword: &str,
    value: &Value,
    siblings: &Map<String, Value>,
    step: i64,
    place: &str,
) -> Result<Value, Refusal> {
    let whole = siblings.get("type").is_some_and(|kind| kind == "integer");
    let moved = value.as_i64().filter(|_| whole).and_then(|bound| bound.checked_add(step));
    moved.map(Value::from).ok_or_else(|| refused(keyword, place, "of anything but whole numbers"))
}

fn schema(value: &Value, place: &str) -> Result<Value, Refusal> {
    match value {
        Value::Object(schema) => object(schema, place).map(Value::Object),
        Value::Bool(true) => Ok(Value::Object(Map::new())),
        _ => Err(wrong(place, format!("{place} must be a schema"))),
    }
}

fn list(value: &Value, place: &str) -> Result<Value, Refusal> {
    let all = value.as_array().ok_or_else(|| wrong(place, format!("{place} must be a list of schemas")))?;
    let one = |(position, value)| schema(value, &format!("{place}[{position}]"));
    all.iter().enumerate().map(one).collect()
}

fn map(value: &Value, place: &str) -> Result<Value, Refusal> {
    let all = value.as_object().ok_or_else(|| wrong(place, format!("{place} must be an object of schemas")))?;
    let one = |(name, value): (&String, &Value)| Ok((name.clone(), schema(value, &inside(place, name))?));
    all.iter().map(one).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn is_text_or_number(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

fn inside(place: &str, name: &str) -> String {
    format!("{place}.{name}")
}

fn refused(keyword: &str, place: &str, how: &str) -> Refusal {
    let how = if how.is_empty() { String::new() } else { format!(" {how}") };
    cannot(
        place,
        format!("the keyword {keyword:?}{how} at {place} is nothing that {NAME} promises to keep to: leave it out"),
    )
}
