//! The table of faults: what providers, and the way to them, have been seen to do.

use bursar::api::Outcome;
use bursar::bounds;

use super::case::{At, Case, Fault, Stage, Then};
use super::words::Words;
use crate::fake::{Behaviour, Framing, Reply, Step, broken};

use Outcome::{Caller, Credential, NotForKey, Quota, RateShort, Timeout, TooLarge, Transient};
use Stage::{After, Before, Whole};
use Then::{Cut, Fails, Fine};

const MIB: usize = 1024 * 1024;
/// How much the peak may rise for what is small: the calls of a handful of cases at once, and what the process learns.
const BYTES_MAX: usize = 12 * MIB;

/// The table in the making.
pub struct Table {
    words: Words,
    rows: Vec<Fault>,
}

/// Every fault at every stage at which it can come, with one connection and with two, from a provider of these words.
pub fn cases(words: Words) -> Vec<Case> {
    let mut table = Table { words, rows: Vec::new() };
    table.refusals();
    table.silences();
    table.breaks();
    table.shapes();
    super::streams::rows(&mut table);
    table.heavy();
    let both = |fault: Fault| [1, 2].map(|connections| Case { fault: fault.clone(), connections });
    table.rows.into_iter().flat_map(both).collect()
}

impl Table {
    pub fn words(&self) -> Words {
        self.words
    }

    pub fn row(&mut self, name: &'static str, stage: Stage, does: impl Into<Behaviour>, then: Then) -> &mut Fault {
        let short = "timeouts = { first_byte = \"400ms\", first_byte_streamed = \"400ms\", idle = \"400ms\" }";
        // Only a fault that lasts is cut short: nothing else may be taken for it on a busy machine.
        let lasts = matches!(then, Fails(Timeout, ..) | Cut("upstream_timeout"));
        let lines = if lasts { short.to_owned() } else { String::new() };
        let at = At::Fake(does.into());
        self.rows.push(Fault { name, stage, at, then, lines, bytes_max: BYTES_MAX });
        self.rows.last_mut().expect("it was pushed just now")
    }

    /// The same before content, whether the app asked for a stream or not.
    pub fn early(&mut self, name: &'static str, does: impl Into<Behaviour>, then: Then) {
        let does = does.into();
        self.row(name, Whole, does.clone(), then);
        self.row(name, Before, does, then);
    }

    /// Errors with a status, as the status says what they are, or inside a 200.
    fn refusals(&mut self) {
        let words = self.words;
        let known = |outcome| match outcome {
            Credential => (502, "upstream_auth"),
            Quota => (502, "upstream_quota"),
            NotForKey => (502, "upstream_refused"),
            RateShort => (429, "rate_limited"),
            Timeout => (504, "upstream_timeout"),
            _ => (502, "upstream_error"),
        };
        let fails = |outcome| Fails(outcome, known(outcome).0, known(outcome).1);
        for (name, status, outcome) in [
            ("s401", 401, Credential),
            ("s402", 402, Quota),
            ("s403", 403, NotForKey),
            ("s404", 404, NotForKey),
            ("s408", 408, Timeout),
            ("s410", 410, NotForKey),
            ("s429", 429, RateShort),
            ("s500", 500, Transient),
            ("s502", 502, Transient),
            ("s503", 503, Transient),
            ("s504", 504, Timeout),
            ("s529", 529, Transient),
        ] {
            self.early(name, words.error(status), fails(outcome));
        }
        for (name, status) in [("s400", 400), ("s415", 415), ("s422", 422)] {
            self.early(name, words.error(status), Fails(Caller, status, ""));
        }
        self.early("s413", words.error(413), Fails(TooLarge, 413, ""));
        self.early("s429-after", words.error(429).retry_after(7), fails(RateShort));
        let date = "Thu, 01 Jan 2026 00:00:07 GMT";
        let dated = words.error(429).header("date", "Thu, 01 Jan 2026 00:00:00 GMT").header("retry-after", date);
        self.early("s429-date", dated, fails(RateShort));
        self.early("s429-quota", words.quota(), fails(Quota));
        self.early("s500-bare", Reply::bare(500), fails(Transient));
        self.early("redirect", broken::redirect(307, "http://127.0.0.1:1/elsewhere"), fails(Transient));
        for (name, status, outcome) in
            [("in-401", 401, Credential), ("in-429", 429, RateShort), ("in-529", 529, Transient)]
        {
            self.early(name, Reply::json(200, &words.error_body(status)), fails(outcome));
        }
    }

    /// Providers that say nothing, or no more.
    fn silences(&mut self) {
        let words = self.words;
        let timeout = Fails(Timeout, 504, "upstream_timeout");
        self.early("hang", Behaviour::hang(), timeout);
        self.row("hang-head", Whole, words.whole("never").hang_after(0), timeout);
        self.row("hang-head", Before, words.stream(&["never"]).reply().hang_after(0), timeout);
        let half = words.whole("never");
        let half_way = half.body_len() / 2;
        self.row("hang-body", Whole, half.split_at(&[half_way]).hang_after(1), timeout);
        self.row("hang-body", Before, words.opening().reply().hang_after(1), timeout);
        self.row("hang-body", After, words.part().reply().hang_after(words.part_frames()), Cut("upstream_timeout"));
        // Never silent for long, and never done.
        let slow = std::time::Duration::from_millis(30);
        let all = "timeouts = { total = \"700ms\" }";
        let drip = |does: Behaviour| does.drip().pace(slow);
        self.row("drip", Whole, drip(words.whole("never").whole()), timeout).lines = all.into();
        self.row("drip", Before, drip(words.stream(&["never"]).into()), timeout).lines = all.into();
        let comments = (0..200).fold(words.part(), |events, _| events.comment("still here"));
        self.row("drip", After, Behaviour::from(comments).pace(slow), Cut("upstream_timeout")).lines = all.into();
    }

    /// Connections that end too early.
    fn breaks(&mut self) {
        let words = self.words;
        let cut = Fails(Transient, 502, "upstream_cut");
        self.early("close", Behaviour::close(), cut);
        self.early("reset", Behaviour::reset(), cut);
        self.row("short", Whole, broken::short_length(words.whole("x")), cut);
        let half = words.whole("never");
        let half_way = half.body_len() / 2;
        self.row("half-reset", Whole, half.split_at(&[half_way]).reset_after(1), cut);
        self.row("cut", Before, words.opening().reply().cut_after(1), cut);
        self.row("half-reset", Before, words.opening().reply().reset_after(1), cut);
        let frames = words.part_frames();
        self.row("cut", After, words.part().reply().cut_after(frames), Cut("upstream_cut"));
        self.row("half-reset", After, words.part().reply().reset_after(frames), Cut("upstream_cut"));
        let no_end = Fails(Transient, 502, "upstream_invalid");
        self.row("no-end", Before, words.opening(), no_end);
        self.row("no-end", After, words.part(), Cut("upstream_cut"));
        self.row("no-end-close", After, words.part().reply().framed(Framing::Close), Cut("upstream_cut"));
    }

    /// What is no reply of the sort that was asked for.
    fn shapes(&mut self) {
        let words = self.words;
        let invalid = Fails(Transient, 502, "upstream_invalid");
        self.early("garbage", broken::garbage(), invalid);
        self.early("many-headers", broken::many_headers(1_000), invalid);
        self.early("html", broken::html(), invalid);
        self.early("pdf", Reply::new(200, "application/pdf", "%PDF-1.7"), invalid);
        self.early("half-json", broken::half_json(), invalid);
        self.early("empty", broken::empty(), invalid);
        self.early("deep", Reply::new(200, "application/json", "[".repeat(10_000)), invalid);
        let bytes = &b"{\"choices\":[{\"message\":{\"content\":\"\xff\xfe\"}}],\"content\":\"\xff\"}"[..];
        self.early("bad-utf8", Reply::new(200, "application/json", bytes), invalid);
        for (name, coding) in [("gzip", "gzip"), ("brotli", "br")] {
            self.early(name, words.whole("never").header("content-encoding", coding), invalid);
        }
        self.early(
            "preliminary",
            broken::preliminary(50, Behaviour::from(words.error(500))),
            Fails(Transient, 502, "upstream_error"),
        );
        self.row("preliminary-fine", Whole, broken::preliminary(50, words.fine(false)), Fine);
    }

    /// What is large, the largest last: the peak of memory never falls.
    fn heavy(&mut self) {
        let words = self.words;
        let invalid = Fails(Transient, 502, "upstream_invalid");
        let bomb = zstd::bulk::compress(&vec![0; 64 * MIB], 1).expect("zeros are compressed");
        let bomb = Reply::new(200, "application/json", bomb).header("content-encoding", "zstd");
        self.row("bomb", Whole, bomb.clone(), invalid).bytes_max = 8 * MIB;
        self.row("bomb", Before, bomb.header("x-stream", "1"), invalid).bytes_max = 8 * MIB;
        let keys: String = (0..1_000_000).map(|n| format!("\"{n}\":0,")).collect();
        let keys = Reply::new(200, "application/json", format!("{{{keys}\"x\":0}}"));
        self.row("million-keys", Whole, keys, invalid).bytes_max = 64 * MIB;
        let large = Fails(Transient, 502, "upstream_too_large");
        let frame = bounds::STREAM_FRAME_BYTES_MAX;
        let mut after = Behaviour::from(words.part());
        after.steps.pop();
        after.steps.extend(broken::long_frame(frame + 1).whole().steps.into_iter().skip(1));
        self.row("long-frame", Before, broken::long_frame(frame + 1), large).bytes_max = 2 * frame + BYTES_MAX;
        self.row("long-frame", After, after, Cut("upstream_too_large")).bytes_max = 2 * frame + BYTES_MAX;
        let body = bounds::REPLY_BODY_BYTES_MAX;
        let large = Fails(TooLarge, 502, "upstream_too_large");
        self.row("oversize", Whole, broken::oversize(body + 1), large).bytes_max = 2 * body + BYTES_MAX;
    }
}

/// A reply's bytes, written one by one.
pub fn dripped(does: impl Into<Behaviour>) -> Behaviour {
    does.into().drip()
}

/// The same bytes with something else in the place of a text.
pub fn replaced(does: impl Into<Behaviour>, from: &str, to: &str) -> Behaviour {
    let steps = does.into().steps.into_iter().map(|step| match step {
        Step::Write(bytes) => {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            Step::Write(text.replace(from, to).into())
        }
        other => other,
    });
    Behaviour { steps: steps.collect() }
}
