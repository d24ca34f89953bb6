//! What is wrong with a configuration file, and where.
//!
//! A reader of configuration never stops at the first mistake: it gathers all of them, so that one look at the reply
//! is enough to mend the file. A problem never repeats what may be a secret.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use super::document::Place;
use crate::bounds;

/// One thing that is wrong, or odd, in one place of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1; none if the whole file is meant.
    pub line: Option<u32>,
    /// The column in characters, from 1; none if the whole file is meant.
    pub column: Option<u32>,
    /// The dotted path of the key, such as `providers.openai.enabled`; empty if no key is meant.
    pub key: String,
    /// What is wrong and what to write instead, without file, line and key.
    pub message: String,
}

impl Problem {
    /// A problem of a whole file.
    pub fn of_file(file: &Arc<Path>, message: impl Into<String>) -> Self {
        Self { file: Arc::clone(file), line: None, column: None, key: String::new(), message: message.into() }
    }

    /// A problem in one place.
    pub fn at(place: &Place, key: &str, message: impl Into<String>) -> Self {
        Self {
            file: Arc::clone(&place.file),
            line: Some(place.line),
            column: Some(place.column),
            key: shortened(key.to_owned()),
            message: shortened(message.into()),
        }
    }
}

/// A text that may repeat what stands in the file, however long that is.
fn shortened(mut text: String) -> String {
    if text.len() > bounds::ERROR_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(bounds::ERROR_TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Why a configuration cannot be taken: every error at once, and what would have been warned of beside them.
///
/// Shown one problem a line, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Error)]
pub struct Report {
    /// What must be mended. Not empty where a report is returned as an error.
    pub errors: Vec<Problem>,
    /// What is odd, and taken all the same.
    pub warnings: Vec<Problem>,
}

impl From<Problem> for Report {
    fn from(error: Problem) -> Self {
        Self { errors: vec![error], warnings: Vec::new() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// Gathers problems while a file is read. Shared by everything that reads one file, hence the cell.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: RefCell<Report>,
}

impl Problems {
    pub(super) fn error(&self, problem: Problem) {
        self.found.borrow_mut().errors.push(problem);
    }

    pub(super) fn warning(&self, problem: Problem) {
        self.found.borrow_mut().warnings.push(problem);
    }

    pub(super) fn any_error(&self) -> bool {
        !self.found.borrow().errors.is_empty()
    }

    /// All that was found, in the order of the file, at most as many as anyone will read.
    pub(super) fn into_report(self) -> Report {
        let mut report = self.found.into_inner();
        for list in [&mut report.errors, &mut report.warnings] {
            list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
            list.dedup();
            shorten(list);
        }
        report
    }
}

fn shorten(list: &mut Vec<Problem>) {
    let more = list.len().saturating_sub(bounds::CONFIG_PROBLEMS_MAX);
    if let (1.., Some(file)) = (more, list.first().map(|first| Arc::clone(&first.file))) {
        list.truncate(bounds::CONFIG_PROBLEMS_MAX);
        list.push(Problem::of_file(&file, format!("and {more} more like these")));
    }
}
