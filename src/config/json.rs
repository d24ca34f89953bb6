//! JSON as a document, so that what operators send and what the store keeps is held to the rules of the file.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use super::document::{Entry, Node, Place, Table, Value};
use super::problem::{Problem, Problems, Report};
use super::walk::Cursor;

/// Reads a JSON object's text as if it stood in a file, at this key.
///
/// # Errors
/// When it is not JSON, or the reader tells of errors. The problems' file is named `JSON`, and they have no lines.
pub(super) fn read<T>(key: &str, text: &str, read: impl FnOnce(&Cursor<'_>) -> T) -> Result<T, Report> {
    let place = Place { file: Arc::from(Path::new("JSON")), line: 1, column: 1 };
    let json = serde_json::from_str(text)
        .map_err(|error| Report::from(Problem::of_file(&place.file, format!("{key}: {error}"))))?;
    let node = node(json, &place);
    let problems = Problems::default();
    let value = read(&Cursor::under(key, &node, &problems));
    let report = problems.into_report();
    if report.errors.is_empty() { Ok(value) } else { Err(without_places(report)) }
}

/// A null says nothing, as in a table where the key is not there.
fn node(json: Json, place: &Place) -> Node {
    let value = match json {
        Json::Null => Value::Table(Table::default()),
        Json::Bool(flag) => Value::Flag(flag),
        Json::Number(number) if number.is_f64() => Value::Decimal(number.to_string()),
        Json::Number(number) => Value::Integer(number.to_string(), 10),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(|item| node(item, place)).collect()),
        Json::Object(fields) => Value::Table(Table(
            fields
                .into_iter()
                .filter(|(_, json)| !json.is_null())
                .map(|(key, json)| (key, Entry { key_place: place.clone(), node: node(json, place) }))
                .collect(),
        )),
    };
    Node { place: place.clone(), value }
}

fn without_places(mut report: Report) -> Report {
    for problem in report.errors.iter_mut().chain(&mut report.warnings) {
        (problem.line, problem.column) = (None, None);
    }
    report
}
