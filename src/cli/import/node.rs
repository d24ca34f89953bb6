//! A file of another program as a tree of which every part knows its line. It may hold secrets: no part of it prints.

use zeroize::Zeroizing;

use super::Unread;
use crate::bounds;

/// A part of a file.
#[derive(Clone)]
pub(super) struct Node {
    /// The line, from 1.
    pub(super) line: u32,
    pub(super) value: Value,
}

/// What stands there.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(String),
    Text(Zeroizing<String>),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The entries of a table; of anything else none.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; of anything else none.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// What a table has under a key. A null is nothing.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node);
        found.filter(|node| !matches!(node.value, Value::Null))
    }

    /// A text, or what else can be written as one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(number) => Some(number.as_str()),
            Value::Flag(true) => Some("true"),
            Value::Flag(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Table(_) => None,
        }
    }

    /// A whole number that is not negative; floats that are whole are taken too.
    pub(super) fn whole(&self) -> Option<u64> {
        let text = self.text()?.trim();
        let whole =
            text.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0')).map(|(whole, _)| whole);
        whole.unwrap_or(text).parse().ok()
    }
}

/// How many parts a file may still have: an alias repeats what stands elsewhere, and so could a small file be huge.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(bounds::IMPORT_NODES_MAX)
    }

    /// Pays for a part, and for all below it.
    pub(super) fn pay(&mut self, node: &Node) -> Result<(), Unread> {
        self.0 =
            self.0.checked_sub(1).ok_or_else(|| Unread::new(node.line, "there is more here than can be imported"))?;
        match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| self.pay(item)),
            Value::Table(entries) => entries.iter().try_for_each(|(_, entry)| self.pay(entry)),
            _ => Ok(()),
        }
    }
}
