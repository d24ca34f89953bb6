//! What a command shows, apart from how: columns and rows, as aligned text or as CSV.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, presets};

/// How a cell is coloured on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Broken.
    Bad,
    /// Of little weight.
    Faint,
}

impl Tone {
    const ALL: [Self; 4] = [Self::Good, Self::Warn, Self::Bad, Self::Faint];

    /// A character without width that begins a coloured cell. Aligning counts widths, so colours go in afterwards.
    const fn mark(self) -> char {
        match self {
            Self::Good => '\u{2061}',
            Self::Warn => '\u{2062}',
            Self::Bad => '\u{2063}',
            Self::Faint => '\u{2064}',
        }
    }

    pub(super) const fn style(self) -> Style {
        let colour = match self {
            Self::Good => AnsiColor::Green,
            Self::Warn => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
            Self::Faint => return Style::new().dimmed(),
        };
        Style::new().fg_color(Some(anstyle::Color::Ansi(colour)))
    }
}

/// Ends a coloured cell.
const END: char = '\u{2060}';

/// One cell: its text for people, and for programs where that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Cell {
    shown: String,
    raw: Option<String>,
    tone: Option<Tone>,
    number: bool,
}

impl Cell {
    /// A text.
    pub(in crate::cli) fn text(text: impl ToString) -> Self {
        Self { shown: text.to_string(), raw: None, tone: None, number: false }
    }

    /// A number, aligned at its right end.
    pub(in crate::cli) fn number(number: impl ToString) -> Self {
        Self { number: true, ..Self::text(number) }
    }

    /// What is not there: `-` for people, nothing for programs.
    pub(in crate::cli) fn none() -> Self {
        Self::text("-").raw("").tone(Tone::Faint)
    }

    /// What may not be there.
    pub(in crate::cli) fn maybe<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or_else(Self::none, cell)
    }

    /// What programs get instead.
    #[must_use]
    pub(in crate::cli) fn raw(mut self, raw: impl ToString) -> Self {
        self.raw = Some(raw.to_string());
        self
    }

    /// Coloured so.
    #[must_use]
    pub(in crate::cli) fn tone(mut self, tone: Tone) -> Self {
        self.tone = Some(tone);
        self
    }
}

/// Columns by their names, rows of cells, and what to say where there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
    empty: String,
    /// Columns that may be left out for want of room, the first one first.
    optional: Vec<String>,
}

impl Table {
    /// A table without rows yet. `empty` says what to do where none come.
    pub(in crate::cli) fn new<S: ToString>(columns: impl IntoIterator<Item = S>, empty: impl Into<String>) -> Self {
        let columns = columns.into_iter().map(|name| name.to_string()).collect();
        Self { columns, rows: Vec::new(), empty: empty.into(), optional: Vec::new() }
    }

    /// Names columns that may be left out where a terminal is too narrow, the first one first.
    #[must_use]
    pub(in crate::cli) fn optional(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.optional = columns.into_iter().map(str::to_owned).collect();
        self
    }

    /// The table without as many of its optional columns as it takes to fit, and the titles of those. Where there is no
    /// width, all stay.
    pub(in crate::cli) fn fitted(mut self, width: Option<usize>) -> (Self, Vec<String>) {
        let mut left_out = Vec::new();
        for name in std::mem::take(&mut self.optional) {
            if width.is_none_or(|width| self.rows.is_empty() || self.width() <= width) {
                break;
            }
            if let Some(place) = self.columns.iter().position(|column| *column == name) {
                left_out.push(title(&self.columns.remove(place)));
                self.rows.iter_mut().filter(|row| place < row.len()).for_each(|row| drop(row.remove(place)));
            }
        }
        (self, left_out)
    }

    /// How many columns of a terminal the longest line takes.
    pub(in crate::cli) fn width(&self) -> usize {
        self.to_text(false).lines().map(|line| line.chars().count()).max().unwrap_or_default()
    }

    /// Adds a row, with a cell a column.
    pub(in crate::cli) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Aligned text. Column names become titles.
    pub(in crate::cli) fn to_text(&self, colour: bool) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let titles = self.columns.iter().map(|name| title(name).into()).collect();
        let body = self.rows.iter().map(|row| row.iter().map(inside).collect());
        let mut table = arrange(std::iter::once(titles).chain(body));
        for (place, column) in table.column_iter_mut().enumerate() {
            if self.rows.iter().any(|row| row.get(place).is_some_and(|cell| cell.number)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let text = text_of(&table);
        let mut text = if colour { bold_first_line(&text) } else { text };
        paint(&mut text, colour);
        text
    }

    /// A name and a value a line, without titles: for one object.
    pub(in crate::cli) fn to_pairs(&self, colour: bool) -> String {
        let mut text = text_of(&arrange(self.rows.iter().map(|row| row.iter().map(inside).collect())));
        paint(&mut text, colour);
        text
    }

    /// CSV as RFC 4180 has it, with column names in the first line.
    pub(in crate::cli) fn to_csv(&self) -> String {
        let mut text = String::new();
        push_csv(&mut text, self.columns.iter().map(String::as_str));
        for row in &self.rows {
            push_csv(&mut text, row.iter().map(|cell| cell.raw.as_deref().unwrap_or(&cell.shown)));
        }
        text
    }
}

/// A column's name, as people read it.
fn title(name: &str) -> String {
    name.replace('_', " ").to_uppercase()
}

/// One line of CSV.
pub(in crate::cli) fn csv_line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    push_csv(&mut text, fields);
    text
}

/// A cell's text, with marks where its colour begins and ends.
fn inside(cell: &Cell) -> comfy_table::Cell {
    let clean = printable(&cell.shown);
    match cell.tone {
        Some(tone) => format!("{}{clean}{END}", tone.mark()).into(),
        None => clean.into(),
    }
}

/// A text on one line that cannot steer a terminal, whoever wrote it.
pub(in crate::cli) fn printable(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

fn arrange(rows: impl Iterator<Item = Vec<comfy_table::Cell>>) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn text_of(table: &comfy_table::Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn bold_first_line(text: &str) -> String {
    let bold = Style::new().bold();
    match text.split_once('\n') {
        Some((first, rest)) => format!("{bold}{first}{bold:#}\n{rest}"),
        None => text.to_owned(),
    }
}

/// Puts colours where the marks are, or nothing.
fn paint(text: &mut String, colour: bool) {
    for tone in Tone::ALL {
        let begin = if colour { tone.style().render().to_string() } else { String::new() };
        *text = text.replace(tone.mark(), &begin);
    }
    let end = if colour { anstyle::Reset.render().to_string() } else { String::new() };
    *text = text.replace(END, &end);
}

fn push_csv<'a>(text: &mut String, fields: impl Iterator<Item = &'a str>) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            text.push(',');
        }
        // A spreadsheet takes a field that begins so for a formula; none of ours is one.
        let guarded = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && field.parse::<f64>().is_err();
        let field = if guarded { format!("'{field}") } else { field.to_owned() };
        if field.contains(['"', ',', '\n', '\r']) {
            text.push_str(&format!("\"{}\"", field.replace('"', "\"\"")));
        } else {
            text.push_str(&field);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["connection", "in_flight", "last_used"], "none yet: add one");
        table.row([Cell::text("openai:main").tone(Tone::Good), Cell::number(7), Cell::none()]);
        table.row([Cell::text("gemini:a, b \"c\""), Cell::number(1_200), Cell::text("2 min ago").raw("2026-01-01")]);
        table
    }

    #[test]
    fn columns_are_aligned_and_numbers_end_together() {
        insta::assert_snapshot!(table().to_text(false), @r#"
        CONNECTION       IN FLIGHT  LAST USED
        openai:main              7  -
        gemini:a, b "c"       1200  2 min ago
        "#);
    }

    #[test]
    fn colours_move_no_column() {
        let coloured = table().to_text(true);
        assert!(coloured.contains("\u{1b}[32mopenai:main\u{1b}[0m"), "{coloured:?}");
        let mut plain = coloured;
        while let (Some(start), Some(end)) =
            (plain.find('\u{1b}'), plain.find('\u{1b}').and_then(|at| plain[at..].find('m')))
        {
            plain.replace_range(start..=start + end, "");
        }
        assert_eq!(plain, table().to_text(false));
    }

    #[test]
    fn csv_has_the_values_for_programs_and_quotes_what_must_be() {
        insta::assert_snapshot!(table().to_csv().replace("\r\n", "\n"), @r#"
        connection,in_flight,last_used
        openai:main,7,
        "gemini:a, b ""c""",1200,2026-01-01
        "#);
    }

    #[test]
    fn a_narrow_terminal_loses_columns_in_the_order_that_was_said() {
        let wide = || table().optional(["last_used", "in_flight"]);
        let fits = wide().width();
        assert_eq!(wide().fitted(Some(fits)), (Table { optional: vec![], ..table() }, vec![]));
        assert_eq!(wide().fitted(None).1, Vec::<String>::new());
        let (narrow, left_out) = wide().fitted(Some(fits - 1));
        assert_eq!(left_out, ["LAST USED"]);
        assert!(narrow.to_text(false).starts_with("CONNECTION       IN FLIGHT\nopenai:main              7\n"));
        let (narrower, left_out) = wide().fitted(Some(3));
        assert_eq!((narrower.columns.len(), left_out.len()), (1, 2), "what is not optional stays");
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        let table = Table::new(["connection"], "no connections yet: `bursar credentials set openai` adds one");
        assert_eq!(table.to_text(true), "no connections yet: `bursar credentials set openai` adds one\n");
        assert_eq!(table.to_csv(), "connection\r\n");
    }

    #[test]
    fn nothing_steers_the_terminal_or_a_spreadsheet() {
        let mut table = Table::new(["error"], "");
        table.row([Cell::text("\u{1b}[2Jgone\u{202e}\n=cmd()")]);
        table.row([Cell::text("=cmd()")]);
        assert!(!table.to_text(false).contains(['\u{1b}', '\u{202e}']));
        assert!(table.to_csv().ends_with("'=cmd()\r\n"));
    }
}
