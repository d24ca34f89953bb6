//! `bursar usage export`: all records of a time, oldest first, for other programs.
//!
//! They come page by page, so that memory stays small however many there are; and each line holds its record's id, so
//! that an export that was broken off goes on where it ended.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::value::RawValue;

use super::ask::{self, Filters, moment};
use super::records::{csv_of, record};
use crate::api::records::record_fields;
use crate::api::usage::RecordId;
use crate::api::{Moment, RecordOrder, RecordPage};
use crate::bounds;
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failed, Outcome};
use crate::cli::output::{Format, Output, Progress, Sink, Written, csv_line};

/// Bytes at the end of a file in which its last whole line is looked for: a record is far shorter.
const TAIL_BYTES_MAX: u64 = 64 * 1024;

/// Write all records of a time, oldest first, as JSON lines or CSV
///
/// JSON lines unless --format csv. A file that exists is only written to with --resume or --force.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar usage export --since 2026-01-01 --until 2026-02-01 --output january.jsonl\n  \
    bursar usage export --format csv --output usage.csv --resume   what has come since the last time\n  \
    bursar usage export --since 1h | jq .cost_usd\n\n\
    A record is written when its call ends and stands where the call began. To miss no call that still runs, let an\n\
    export end some time ago: --until 1h.")]
pub(super) struct Export {
    /// The begin: so long ago, such as 24h or 7d, a date, or a time such as 2026-01-31T00:00:00Z [default: the first one]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<String>,
    /// The end, likewise [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<String>,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on in the file after its last whole line, or begin it if it is not there
    #[arg(long, requires = "output", conflicts_with = "after")]
    resume: bool,
    /// Replace the file if there is one
    #[arg(long, requires = "output", conflicts_with = "resume")]
    force: bool,
    /// Go on after this record, to newer ones
    #[arg(long, value_name = "ID", value_parser = record)]
    after: Option<RecordId>,
    #[command(flatten)]
    filters: Filters,
}

impl Export {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        let csv = out.format == Format::Csv;
        let (mut sink, after) = self.open(csv)?;
        let mut at = after;
        if csv && after.is_none() && self.put(&mut sink, csv_line(record_fields()).as_bytes())? {
            return Ok(Exit::Ok);
        }
        // An end that does not move, so that the export of a busy daemon has one.
        let until = self.until.clone().unwrap_or_else(|| Moment(out.now_ms).to_string());
        let (mut progress, mut count, mut way) = (Progress::new(), 0_u64, Way::to(out.now_ms));
        loop {
            let page: RecordPage<Box<RawValue>> = client.get(&self.path(&until, at)).await?;
            let mut text = String::new();
            for record in &page.records {
                push(&mut text, record, csv)?;
            }
            if self.put(&mut sink, text.as_bytes())? {
                return Ok(Exit::Ok);
            }
            count = count.saturating_add(u64::try_from(page.records.len()).unwrap_or_default());
            let Some(next) = page.next else { break };
            at = Some(next);
            progress.draw(way.part(next), count, "records");
        }
        drop(progress);
        if let Some(file) = &self.output {
            out.remark(&format!("{count} records are written to {}", file.display()));
        }
        Ok(Exit::Ok)
    }

    fn path(&self, until: &str, after: Option<RecordId>) -> String {
        let (after, limit) = (after.map(|id| id.to_string()), bounds::USAGE_PAGE_MAX.to_string());
        let pairs = [
            ("order", Some(RecordOrder::Oldest.name())),
            ("from", self.since.as_deref()),
            ("to", Some(until)),
            ("after", after.as_deref()),
            ("limit", Some(limit.as_str())),
        ];
        ask::path("/admin/v1/usage/records", &pairs, &self.filters)
    }

    /// Where it goes, and after which record.
    fn open(&self, csv: bool) -> Result<(Sink, Option<RecordId>), Failed> {
        let Some(path) = &self.output else { return Ok((Sink::stdout(), self.after)) };
        let failed = |error| unopened(path, &error);
        if !self.resume {
            let mut options = File::options();
            let options = options.write(true).truncate(self.force).create(self.force).create_new(!self.force);
            let file = options.open(path).map_err(failed)?;
            return Ok((Sink::file(file), self.after));
        }
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let (end, last) = tail(&mut file).map_err(failed)?;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let after = match last {
            None => None,
            Some(line) if csv && line.starts_with("id,") => None,
            Some(line) => Some(id_of(&line, csv).ok_or_else(|| {
                Failed::data(format!(
                    "{} does not end with a record of such an export: name another file, or --force to replace it",
                    path.display()
                ))
            })?),
        };
        // A file that has only its head, or not even that, begins anew.
        if after.is_none() {
            file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        }
        Ok((Sink::file(file), after))
    }

    /// Writes; tells whether nobody reads any more.
    fn put(&self, sink: &mut Sink, bytes: &[u8]) -> Result<bool, Failed> {
        let written = sink.write(bytes).map_err(|error| match &self.output {
            Some(file) => {
                Failed::data(format!("{} cannot be written: {error}; --resume goes on where it ends", file.display()))
            }
            None => Failed::data(format!("standard output cannot be written: {error}")),
        })?;
        Ok(written == Written::NoLongerRead)
    }
}

/// A file that nothing was written to yet.
fn unopened(path: &Path, error: &io::Error) -> Failed {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failed::data(format!("{path} is there already: --resume goes on in it, --force replaces it"))
        }
        _ => Failed::data(format!("{path} cannot be written: {error}")),
    }
}

/// Adds a record's line.
fn push(text: &mut String, record: &RawValue, csv: bool) -> Result<(), Failed> {
    if csv {
        let object = serde_json::from_str(record.get());
        let object = object.map_err(|error| Failed::data(format!("a record cannot be read: {error}")))?;
        text.push_str(&csv_of(&object));
    } else {
        text.push_str(record.get());
        text.push('\n');
    }
    Ok(())
}

/// The end of the last whole line of a file, and that line.
fn tail(file: &mut File) -> io::Result<(u64, Option<String>)> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(TAIL_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok((length, (length > 0).then(String::new)));
    };
    let line = bytes.get(..end).unwrap_or_default();
    let begin = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = String::from_utf8_lossy(line.get(begin..).unwrap_or_default()).trim_end().to_owned();
    Ok((from + u64::try_from(end).unwrap_or_default() + 1, Some(line)))
}

/// The id of the record in a line.
fn id_of(line: &str, csv: bool) -> Option<RecordId> {
    if csv {
        return line.split(',').next()?.parse().ok();
    }
    let object: serde_json::Value = serde_json::from_str(line).ok()?;
    object.get("id")?.as_str()?.parse().ok()
}

/// How far an export is, by the time in its records' ids.
struct Way {
    from_ms: Option<i64>,
    to_ms: i64,
}

impl Way {
    fn to(to_ms: i64) -> Self {
        Self { from_ms: None, to_ms }
    }

    fn part(&mut self, at: RecordId) -> f64 {
        let at_ms = i64::try_from(at.0 >> 80).unwrap_or(i64::MAX);
        let from_ms = *self.from_ms.get_or_insert(at_ms);
        let (done, all) = (at_ms.saturating_sub(from_ms), self.to_ms.saturating_sub(from_ms).max(1));
        #[expect(clippy::cast_precision_loss, reason = "a part of a bar")]
        let part = done as f64 / all as f64;
        part
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage");
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        (dir, path)
    }

    fn tail_of(text: &str) -> (u64, Option<String>) {
        tail(&mut File::open(&file(text).1).unwrap()).unwrap()
    }

    #[test]
    fn a_line_that_was_broken_off_is_found_and_the_one_before_it() {
        assert_eq!(tail_of(""), (0, None));
        assert_eq!(tail_of("precious"), (8, Some(String::new())));
        assert_eq!(tail_of("one\n"), (4, Some("one".into())));
        assert_eq!(tail_of("one\r\ntwo\r\nthr"), (10, Some("two".into())));
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_left_alone() {
        for (text, csv) in [("precious", false), ("precious\n", false), ("{\"a\":1}\n", false), ("a,b\n", true)] {
            let (_dir, path) = file(text);
            let export = Export {
                since: None,
                until: None,
                output: Some(path.clone()),
                resume: true,
                force: false,
                after: None,
                filters: Filters::default(),
            };
            assert!(export.open(csv).err().unwrap().message.contains("--force"), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            let fresh = Export { resume: false, ..export };
            assert!(fresh.open(csv).err().unwrap().message.contains("--resume"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn an_export_that_never_began_is_not_to_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let export = |resume| Export {
            since: None,
            until: None,
            output: Some(dir.path().join("nowhere/usage")),
            resume,
            force: false,
            after: None,
            filters: Filters::default(),
        };
        for resume in [false, true] {
            let failed = export(resume).open(false).err().unwrap();
            assert!(failed.message.contains("cannot be written") && !failed.message.contains("--resume"), "{failed}");
        }
    }

    #[test]
    fn a_lines_record_is_told_by_its_id() {
        let id = "019d4c1e22f07a1b00000000000001ff";
        assert_eq!(id_of(&format!("{{\"id\":\"{id}\",\"x\":1}}"), false).unwrap().to_string(), id);
        assert_eq!(id_of(&format!("{id},req_1"), true).unwrap().to_string(), id);
        assert_eq!(id_of("{}", false), None);
    }
}
