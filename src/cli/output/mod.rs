//! What commands print, and the only place of the program that prints.
//!
//! Answers go to standard output in the format that was asked for; remarks go to standard error, so that a pipe holds
//! answers alone. A pipe that is closed early is no error; an answer that gets lost on a full disk is one.

mod course;
mod progress;
mod sink;
mod table;
mod time;

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::Style;
use clap::ValueEnum;
use serde::Serialize;

pub(in crate::cli) use progress::Progress;
pub(in crate::cli) use sink::{Sink, Written};
pub(in crate::cli) use table::{Cell, Table, Tone, csv_line, printable};
pub(in crate::cli) use time::{ago, ahead, minutes, seconds, span};

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
    /// The columns of the terminal that standard output is; none where it is none.
    width: Option<usize>,
    /// Whether that takes more characters than ASCII's.
    unicode: bool,
    /// The time that "ago" counts from, in milliseconds since 1970.
    pub(in crate::cli) now_ms: i64,
}

impl Output {
    /// The process's own standard output.
    pub(in crate::cli) fn new(format: Format, now_ms: i64) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let width = io::stdout().is_terminal().then(columns);
        Self { format, colour: wanted && width.is_some(), width, unicode: speaks_unicode(), now_ms }
    }

    /// The same for an answer that is JSON, whatever the form of others.
    pub(in crate::cli) fn as_json(self) -> Self {
        Self { format: Format::Json, ..self }
    }

    /// The columns of the terminal that standard output is; none where it is none.
    pub(in crate::cli) fn width(&self) -> Option<usize> {
        self.width
    }

    /// A row of values as one line of small bars, in so many cells.
    pub(in crate::cli) fn course(&self, values: &[u64], cells: usize) -> String {
        course::draw(values, cells, self.unicode)
    }

    /// Prints rows: the API's object for programs that read JSON, else the table.
    pub(in crate::cli) fn rows(&self, object: &impl Serialize, table: impl FnOnce() -> Table) {
        match self.format {
            Format::Json => self.print(&json(object)),
            Format::Csv => self.print(&table().to_csv()),
            Format::Table => {
                let (table, left_out) = table().fitted(self.width);
                self.print(&table.to_text(self.colour));
                if !left_out.is_empty() {
                    self.remark(&format!("left out for want of room: {}", left_out.join(", ")));
                }
            }
        }
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

    /// Whether what is printed still goes anywhere.
    pub(in crate::cli) fn is_read(&self) -> bool {
        ENDED.get().is_none()
    }

    fn print(&self, text: &str) {
        // After a part that is missing nothing may follow: it would look whole.
        if self.is_read() {
            let mut out = io::stdout().lock();
            note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        }
    }
}

/// What ended the process's standard output, for all that print to it.
static ENDED: OnceLock<io::Error> = OnceLock::new();

fn note(written: io::Result<()>) {
    if let Err(error) = written {
        // Only the first error tells anything.
        let _ = ENDED.set(error);
    }
}

/// Prints what clap says: help and the version to standard output, complaints to standard error.
pub(in crate::cli) fn of_clap(answer: &clap::Error) {
    let printed = answer.print();
    if !answer.use_stderr() {
        note(printed.and_then(|()| io::stdout().flush()));
    }
}

/// Why not all that was printed has arrived. Who closed the pipe has read enough.
pub(in crate::cli) fn lost() -> Option<&'static io::Error> {
    ENDED.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
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

/// The columns of the terminal that standard output is.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    // A terminal that does not know its width is an old one.
    size.ok().filter(|columns| *columns > 0).unwrap_or(80)
}

/// Whether the locale says that more than ASCII is understood.
fn speaks_unicode() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn json(object: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(object).unwrap_or_default();
    text.push('\n');
    text
}
