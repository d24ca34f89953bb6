//! What commands print, and the only place of the program that prints.
//!
//! Answers go to standard output in the format that was asked for; remarks go to standard error, so that a pipe holds
//! answers alone. A pipe that is closed early is no error.

mod table;
mod time;

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use clap::ValueEnum;
use serde::Serialize;

pub(in crate::cli) use table::{Cell, Table, Tone, printable};
pub(in crate::cli) use time::{ago, ahead, span};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Aligned text for people.
    #[default]
    Table,
    /// The API's objects as they are.
    Json,
    /// One line a row, for spreadsheets.
    Csv,
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Output {
    /// The form of answers.
    pub(in crate::cli) format: Format,
    /// Whether standard output is a terminal that wants colours.
    colour: bool,
    /// The time that "ago" counts from, in milliseconds since 1970.
    pub(in crate::cli) now_ms: i64,
}

impl Output {
    /// The process's own standard output.
    pub(in crate::cli) fn new(format: Format, now_ms: i64) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { format, colour: wanted && io::stdout().is_terminal(), now_ms }
    }

    /// Prints rows: the API's object for programs that read JSON, else the table.
    pub(in crate::cli) fn rows(&self, object: &impl Serialize, table: impl FnOnce() -> Table) {
        self.print(&match self.format {
            Format::Json => json(object),
            Format::Table => table().to_text(self.colour),
            Format::Csv => table().to_csv(),
        });
    }

    /// Prints one object, in text as a name and a value a line.
    pub(in crate::cli) fn pairs(&self, object: &impl Serialize, table: impl FnOnce() -> Table) {
        self.print(&match self.format {
            Format::Json => json(object),
            Format::Table => table().to_pairs(self.colour),
            Format::Csv => table().to_csv(),
        });
    }

    /// Prints what a command did: the API's object for programs, a sentence for people.
    pub(in crate::cli) fn done(&self, object: &impl Serialize, sentence: &str) {
        match self.format {
            Format::Json => self.print(&json(object)),
            Format::Table | Format::Csv => self.print(&format!("{sentence}\n")),
        }
    }

    /// Prints a text as it is.
    pub(in crate::cli) fn text(&self, text: &str) {
        self.print(text);
    }

    /// Prints the title of what follows.
    pub(in crate::cli) fn heading(&self, title: &str) {
        let bold = Style::new().bold();
        self.print(&if self.colour { format!("{bold}{title}{bold:#}\n") } else { format!("{title}\n") });
    }

    /// Prints a text in a colour.
    pub(in crate::cli) fn toned(&self, text: &str, tone: Tone) {
        let style = tone.style();
        self.print(&if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() });
    }

    /// A remark beside the answer.
    pub(in crate::cli) fn remark(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        // Who closed the pipe has read enough; where the disk is full there is nobody to tell.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Tells of a command that failed.
pub(in crate::cli) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "bursar: {message}");
}

/// Puts a question to whoever sits at the terminal.
pub(in crate::cli) fn ask(question: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}").and_then(|()| err.flush());
}

fn json(object: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(object).unwrap_or_default();
    text.push('\n');
    text
}
