//! Lists of providers and credentials, as tables of applications are dumped: JSON or CSV, a row a provider, a connection
//! or a key. Columns go by many names; the tables may refer to each other by `id`.

use zeroize::Zeroizing;

use super::Unread;
use super::found::{Found, FoundConnection, FoundSecret};
use super::json;
use super::known::{Known, by_name};
use super::node::{Node, Value};
use crate::api::admin::{Limits, SecretText};

/// The names of each column, the usual one first.
const PROVIDER: &[&str] =
    &["provider", "provider_slug", "provider_name", "ai_provider", "vendor", "service", "provider_type"];
const NAME: &[&str] = &["name", "label", "connection_name", "title", "slug", "description"];
const SECRET: &[&str] =
    &["api_key", "key", "secret", "token", "api_token", "access_token", "value", "credential", "credentials"];
const ADDRESS: &[&str] = &["base_url", "api_base", "endpoint", "url", "api_url", "api_base_url"];
const PRIORITY: &[&str] = &["priority", "sort_order", "order", "position", "rank"];
const WEIGHT: &[&str] = &["weight"];
const ENABLED: &[&str] = &["is_active", "enabled", "active", "is_enabled", "status"];
const REQUESTS_MINUTE: &[&str] =
    &["requests_per_minute", "rate_limit_per_minute", "rpm", "rate_limit", "rate_limit_rpm", "max_requests_per_minute"];
const REQUESTS_DAY: &[&str] = &["requests_per_day", "rate_limit_per_day", "rpd", "daily_limit", "max_requests_per_day"];
const TOKENS_MINUTE: &[&str] = &["tokens_per_minute", "tpm", "token_limit_per_minute", "rate_limit_tpm"];
const TOKENS_DAY: &[&str] = &["tokens_per_day", "tpd", "daily_token_limit"];
const CONCURRENT: &[&str] = &["concurrent", "max_concurrent", "concurrency", "max_parallel_requests"];
const ORGANIZATION: &[&str] = &["organization", "organization_id", "org_id"];
const PROJECT: &[&str] = &["project", "project_id"];
/// What a row is known by to other rows, and what it refers to.
const ID: &[&str] = &["id"];
const REFERS: &[&str] = &["provider_id", "ai_provider_id", "connection_id", "ai_connection_id"];
/// What says nothing that could be taken over.
const PASSED_OVER: &[&str] = &[
    "created_at",
    "updated_at",
    "deleted_at",
    "last_used_at",
    "last_checked_at",
    "usage_count",
    "error_count",
    "user_id",
    "tenant_id",
    "team_id",
    "health_status",
    "last_error",
];

/// One row: its cells by column, in lower case.
pub(super) struct Row {
    line: u32,
    cells: Vec<(String, Node)>,
    /// Which table it is of, where that is said.
    table: String,
}

/// Reads CSV with a head.
pub(super) fn csv_rows(text: &str) -> Result<Vec<Row>, Unread> {
    let delimiter = delimiter(text.lines().next().unwrap_or_default());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        Unread::new(
            u32::try_from(line).unwrap_or(u32::MAX),
            "a row is not as wide as the first, or a quote is not closed",
        )
    };
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(|name| name.trim().to_lowercase()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(1, |at| u32::try_from(at.line()).unwrap_or(u32::MAX));
        let cell = |text: &str| match text.trim() {
            "" | "NULL" | "\\N" => Value::Null,
            text => Value::Text(Zeroizing::new(text.to_owned())),
        };
        let cells = names.iter().cloned().zip(record.iter().map(|text| Node { line, value: cell(text) })).collect();
        rows.push(Row { line, cells: unfolded(cells), table: String::new() });
    }
    Ok(rows)
}

/// The character between two cells: the one that the head has most of.
fn delimiter(head: &str) -> u8 {
    let count = |byte: &u8| head.bytes().filter(|one| one == byte).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// The rows of a tree: a list of objects, or tables by their names, or the tables of phpMyAdmin's export.
pub(super) fn json_rows(root: &Node) -> Vec<Row> {
    let mut rows = Vec::new();
    gather(root, "", &mut rows);
    rows
}

fn gather(node: &Node, table: &str, rows: &mut Vec<Row>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| gather(item, table, rows)),
        Value::Table(entries) => {
            let lists = entries
                .iter()
                .filter(|(_, entry)| entry.items().iter().any(|item| matches!(item.value, Value::Table(_))));
            let mut lists = lists.peekable();
            if lists.peek().is_none() {
                let header =
                    node.get("type").and_then(Node::text).is_some_and(|kind| matches!(kind, "header" | "database"));
                if !header {
                    let cells = entries.iter().map(|(name, cell)| (name.to_lowercase(), cell.clone())).collect();
                    rows.push(Row { line: node.line, cells: unfolded(cells), table: table.to_owned() });
                }
                return;
            }
            for (name, list) in lists {
                let named = node.get("name").and_then(Node::text).filter(|_| name == "data");
                gather(list, named.unwrap_or(name), rows);
            }
        }
        _ => {}
    }
}

/// The cells of a row with those of the objects that stand in cells, in JSON, or as JSON in a text: keys and limits are
/// often kept so. An object in the place of a provider stands for its name.
fn unfolded(cells: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let (mut all, mut inner) = (Vec::new(), Vec::new());
    for (name, cell) in cells {
        let parsed = cell.text().filter(|text| text.starts_with('{')).and_then(|text| json::read(text).ok());
        let table = parsed.as_ref().unwrap_or(&cell);
        let Value::Table(entries) = &table.value else {
            all.push((name, cell));
            continue;
        };
        let at = |node: &Node| Node { line: cell.line, value: node.value.clone() };
        if PROVIDER.contains(&name.as_str()) {
            let named = ["slug", "name", "title", "type"].iter().find_map(|name| table.get(name));
            all.extend(named.map(|named| (name, at(named))));
        } else {
            inner.extend(entries.iter().map(|(name, entry)| (name.to_lowercase(), at(entry))));
            // One that should hold a key and holds none is told of.
            if SECRET.contains(&name.as_str()) {
                all.push((name, cell));
            }
        }
    }
    all.extend(inner);
    all
}

impl Row {
    fn get(&self, names: &[&str]) -> Option<&Node> {
        let cell = |name: &&str| self.cells.iter().find(|(own, _)| own == name).map(|(_, cell)| cell);
        names.iter().filter_map(cell).find(|cell| !matches!(cell.value, Value::Null))
    }

    fn text(&self, names: &[&str]) -> Option<&str> {
        self.get(names)?.text().map(str::trim).filter(|text| !text.is_empty())
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        self.get(names)?.whole()
    }

    /// Whether it is switched off, by a word or a number.
    fn is_off(&self) -> bool {
        let off = ["0", "false", "f", "no", "n", "off", "inactive", "disabled", "paused"];
        self.text(ENABLED).is_some_and(|text| off.contains(&text.to_lowercase().as_str()))
    }
}

/// Finds connections in rows.
pub(super) fn read(rows: &[Row]) -> Found {
    let mut found = Found::default();
    for row in rows.iter().filter(|row| row.get(SECRET).is_some() || is_keyless(rows, row)) {
        connection(&mut found, rows, row);
    }
    if found.connections.is_empty() && found.notes.is_empty() {
        let columns = [("provider", PROVIDER), ("a key", SECRET)];
        let wanted: Vec<_> = columns.iter().map(|(what, names)| format!("{what} ({})", names.join(", "))).collect();
        found.note(1, format!("no row has a column for {}: nothing is found", wanted.join(" and ")));
    }
    found
}

/// Whether a row is a server of one's own, which needs no key.
fn is_keyless(rows: &[Row], row: &Row) -> bool {
    let known = provider_of(rows, row).and_then(|(name, _)| by_name(&name));
    known.is_some_and(|known| known.keyless) && row.get(ADDRESS).is_some() && row.get(REFERS).is_none()
}

fn connection(found: &mut Found, rows: &[Row], row: &Row) {
    let line = row.line;
    let Some((name, at)) = provider_of(rows, row) else {
        return found.note(line, "the row does not say whose key it holds: left out");
    };
    let parent = referred(rows, row);
    let address = row.text(ADDRESS).or_else(|| parent.and_then(|parent| parent.text(ADDRESS)));
    let known: Option<&'static Known> = by_name(&name);
    if known.is_none() && address.is_none() {
        return found.note(at, "this provider is not known here, and no column has its address (base_url): left out");
    }
    let Some(provider) = found.provider(known.or_else(|| by_name("openai")), address, line) else { return };
    let Ok(main) = "main".parse() else { return };
    let mut connection = FoundConnection::new(line, provider, main, secret(found, row));
    let settings = [("organization", ORGANIZATION), ("project", PROJECT)];
    for (key, names) in settings {
        if let Some(text) = row.text(names).filter(|_| known.is_some_and(|known| known.slug == "openai")) {
            connection.settings.insert(key.to_owned(), text.into());
        }
    }
    connection.enabled = !row.is_off() && parent.is_none_or(|parent| !parent.is_off());
    let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    connection.priority = small(row.number(PRIORITY).or_else(|| parent.and_then(|parent| parent.number(PRIORITY))));
    connection.weight = small(row.number(WEIGHT)).filter(|weight| *weight > 0);
    let limit = |names| row.number(names).or_else(|| parent.and_then(|parent| parent.number(names))).filter(|n| *n > 0);
    connection.limits = Limits {
        requests_per_minute: limit(REQUESTS_MINUTE),
        requests_per_day: limit(REQUESTS_DAY),
        tokens_per_minute: limit(TOKENS_MINUTE),
        tokens_per_day: limit(TOKENS_DAY),
        concurrent: limit(CONCURRENT),
    };
    told(found, row);
    let own = row.text(NAME).or_else(|| parent.and_then(|parent| parent.text(NAME)));
    // A row that is named like its provider says nothing of the key.
    let wish = own.filter(|own| by_name(own).is_none() && !own.eq_ignore_ascii_case(&name)).unwrap_or_default();
    found.connection(wish, connection);
}

fn secret(found: &mut Found, row: &Row) -> FoundSecret {
    let Some(text) = row.text(SECRET) else {
        if row.get(SECRET).is_none() {
            return FoundSecret::Unneeded;
        }
        return FoundSecret::Missing(format!("its column holds no key that is known here ({})", SECRET.join(", ")));
    };
    if is_sealed(text) {
        let line = row.get(SECRET).map_or(row.line, |cell| cell.line);
        found.note(line, "the key is encrypted by the application: export it decrypted, or set it by hand");
        return FoundSecret::Missing("it is encrypted by the application that the list comes from".into());
    }
    FoundSecret::Given(SecretText::new(text.to_owned()))
}

/// Whether a key is the ciphertext of an application: Laravel's is JSON in base64 (`{"iv":`), Rails' has `--` parts.
fn is_sealed(text: &str) -> bool {
    text.starts_with("eyJpdiI6") || text.starts_with("ENC[") || text.starts_with("vault:v")
}

/// The row of another table that a row refers to.
fn referred<'a>(rows: &'a [Row], row: &Row) -> Option<&'a Row> {
    let column = REFERS.iter().find(|name| row.get(&[name]).is_some())?;
    let (id, table) = (row.text(&[column])?, column.trim_end_matches("_id").trim_start_matches("ai_"));
    rows.iter().find(|other| other.text(ID) == Some(id) && !std::ptr::eq(*other, row) && other.table.contains(table))
}

/// Whose key a row holds, and the line that says so: itself, or what it refers to.
fn provider_of(rows: &[Row], row: &Row) -> Option<(String, u32)> {
    if let Some(cell) = row.get(PROVIDER) {
        return cell.text().map(|text| (text.trim().to_owned(), cell.line));
    }
    let parent = referred(rows, row)?;
    if parent.get(PROVIDER).is_some() || parent.get(REFERS).is_some() {
        return provider_of(rows, parent);
    }
    let cell = parent.get(&["slug", "name", "title", "type"])?;
    cell.text().map(|text| (text.trim().to_owned(), cell.line))
}

/// Names the columns of a row that have no place.
fn told(found: &mut Found, row: &Row) {
    let places = [
        PROVIDER,
        NAME,
        SECRET,
        ADDRESS,
        PRIORITY,
        WEIGHT,
        ENABLED,
        REQUESTS_MINUTE,
        REQUESTS_DAY,
        TOKENS_MINUTE,
        TOKENS_DAY,
        CONCURRENT,
        ORGANIZATION,
        PROJECT,
        ID,
        REFERS,
        PASSED_OVER,
    ];
    let left = row.cells.iter().filter(|(name, cell)| {
        !places.iter().any(|names| names.contains(&name.as_str())) && !matches!(cell.value, Value::Null)
    });
    let names: Vec<_> = left.map(|(name, _)| name.chars().take(40).collect::<String>()).collect();
    if !names.is_empty() {
        found.note(row.line, format!("columns without a counterpart: {}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: &Found) -> Vec<String> {
        let one = |one: &FoundConnection| {
            let limit = one.limits.requests_per_minute.unwrap_or(0);
            format!("{}:{} {:?} {} {limit}", one.provider, one.name, one.priority, one.enabled)
        };
        found.connections.iter().map(one).collect()
    }

    #[test]
    fn a_table_of_credentials_is_read_by_its_columns() {
        let text = "id;provider;name;api_key;base_url;priority;is_active;rate_limit_per_minute;default_model\n\
                    1;OpenAI;Main;sk-canary-1;NULL;1;1;60;gpt-4o\n\
                    2;openai;Backup Key;sk-canary-2;;2;0;;\n\
                    3;Nobody;x;sk-canary-3;;1;1;;\n\
                    4;inhouse;vLLM;sk-canary-4;http://10.0.0.7:8000/v1;;true;;\n\
                    5;openai;Sealed;eyJpdiI6Im1hbnkgbW9yZSI;;3;1;;\n";
        let found = read(&csv_rows(text).ok().unwrap());
        let expected = [
            "openai:main Some(1) true 60",
            "openai:backup-key Some(2) false 0",
            "openai-10.0.0.7-8000:main None true 0",
            "openai:sealed Some(3) true 0",
        ];
        assert_eq!(shown(&found), expected);
        let notes: Vec<_> = found.notes.iter().map(|note| (note.line, note.text.as_str())).collect();
        assert_eq!(notes.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 6], "{notes:?}");
        assert!(notes[0].1.contains("default_model") && notes[2].1.contains("encrypted"));
        assert!(!format!("{notes:?}").contains("canary"));
    }

    #[test]
    fn tables_that_refer_to_each_other_are_put_together() {
        let text = r#"[{"type": "header", "version": "5"}, {"type": "database", "name": "app"},
{"type": "table", "name": "ai_providers", "data": [
  {"id": "1", "slug": "gemini", "is_active": "1"}, {"id": "2", "slug": "openai", "is_active": "0"}]},
{"type": "table", "name": "ai_connections", "data": [
  {"id": "1", "ai_provider_id": "2", "name": "Shop", "priority": 3, "rpm": "9"}]},
{"type": "table", "name": "ai_credentials", "data": [
  {"id": "7", "provider_id": 1, "label": "first", "api_key": "canary-a"},
  {"id": "8", "connection_id": 1, "api_key": "canary-b"}]}]"#;
        let found = read(&json_rows(&json::read(text).ok().unwrap()));
        assert_eq!(shown(&found), ["gemini:first None true 0", "openai:shop Some(3) true 9"]);
        assert_eq!(found.notes, []);
    }

    #[test]
    fn keys_and_limits_in_objects_are_found_in_json_and_in_csv() {
        let text = r#"[{"provider": {"id": 1, "slug": "openai"}, "name": "Shop", "credentials": {"api_key": "sk-canary-1"},
                        "limits": {"requests_per_minute": 60}},
                       {"provider": "gemini", "name": "Odd", "credentials": {"colour": "red"}}]"#;
        let found = read(&json_rows(&json::read(text).ok().unwrap()));
        assert_eq!(shown(&found), ["openai:shop None true 60", "gemini:odd None true 0"]);
        assert!(matches!(found.connections[0].secret, FoundSecret::Given(_)));
        assert!(matches!(&found.connections[1].secret, FoundSecret::Missing(why) if why.contains("holds no key")));
        let text = "provider,name,credentials\nopenai,shop,\"{\"\"api_key\"\": \"\"sk-canary-2\"\"}\"\n";
        let found = read(&csv_rows(text).ok().unwrap());
        assert!(matches!(&found.connections[0].secret, FoundSecret::Given(secret) if secret.expose() == "sk-canary-2"));
    }

    #[test]
    fn a_file_that_is_broken_or_about_something_else_says_so() {
        assert_eq!(csv_rows("a,b\n1,2\n1\n").err().unwrap().line, 3);
        let found = read(&csv_rows("colour,size\nred,1\n").ok().unwrap());
        assert!(found.notes[0].text.contains("api_key") && found.notes[0].text.contains("provider"));
    }
}
