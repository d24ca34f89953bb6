//! The faults that only streams have, and what looks like one and is none.

use bursar::api::Outcome::{InBand, RateShort, Transient};
use serde_json::{Value, json};

use super::case::Stage::{After, Before};
use super::case::Then::{Cut, Fails, Fine};
use super::table::{Table, dripped, replaced};
use crate::fake::{Events, Framing, openai};
use crate::spoken::Dialect;

pub fn rows(table: &mut Table) {
    errors(table);
    if table.words().0 == Dialect::OpenAi {
        errors_of_openai(table);
    }
    odd(table);
}

/// Errors inside a 200, before content and after it.
fn errors(table: &mut Table) {
    let words = table.words();
    let error = Fails(Transient, 502, "upstream_error");
    table.row("frame-500", Before, words.framed(words.opening(), 500), error);
    table.row(
        "frame-429",
        Before,
        words.framed(words.opening().comment("ping"), 429),
        Fails(RateShort, 429, "rate_limited"),
    );
    table.row("frame-cut-json", Before, words.opening().data("{\"choi"), error);
    table.row("frame-500", After, words.framed(words.part(), 500), Cut("upstream_error"));
    table.row("frame-429", After, words.framed(words.part(), 429), Cut("upstream_error"));
    table.row("frame-cut-json", After, words.part().data("{\"choi"), Cut("upstream_error"));
    table.row("frame-html", After, words.part().data("<html>"), Cut("upstream_error"));
    table.row("nothing", Before, Events::new(), Fails(Transient, 502, "upstream_invalid"));
    table.row("comments", Before, Events::new().comment("a").comment("b"), Fails(Transient, 502, "upstream_invalid"));
}

fn errors_of_openai(table: &mut Table) {
    let words = table.words();
    let nameless = openai::error_object("odd", &Value::Null);
    table.row("frame-nameless", Before, words.opening().json(&nameless), Fails(InBand, 502, "upstream_error"));
    table.row(
        "frame-event",
        Before,
        words.opening().event("error", &words.error_body(500)),
        Fails(Transient, 502, "upstream_error"),
    );
    table.row("frame-event", After, words.part().event("error", &words.error_body(500)), Cut("upstream_error"));
    let ended = words.part().json(&openai::usage(openai::USAGE)).reply().cut_after(4);
    table.row("usage-then-cut", After, ended, Cut("upstream_cut"));
    // A server that says that it is done twice, and goes on.
    let twice = words.stream(&["fine"]).data(openai::DONE).json(&openai::text("never"));
    table.row("after-done", After, twice, Fine);
    let unended = openai::opening(&["fine"]).json(&openai::finish()).raw(format!("data: {}", openai::DONE));
    table.row("no-blank-line", After, unended, Fine);
}

/// Streams that are unusual, and mean what they would mean otherwise.
fn odd(table: &mut Table) {
    let words = table.words();
    let fine = || words.stream(&["fi", "ne"]);
    table.row("crlf", After, fine().crlf(), Fine);
    table.row(
        "bom",
        After,
        {
            let bom = Events::new().raw("\u{feff}");
            let mut all = crate::fake::Behaviour::from(bom.reply().framed(Framing::Close));
            let mut rest = crate::fake::Behaviour::from(fine().reply().framed(Framing::Close)).steps;
            rest.remove(0);
            all.steps.pop();
            all.steps.extend(rest);
            all
        },
        Fine,
    );
    table.row("dripped", After, dripped(fine().comment("é€𐍈")), Fine);
    let close = fine().reply().framed(Framing::Close);
    table.row("until-close", After, close.clone(), Fine);
    let untyped = replaced(fine(), "content-type: text/event-stream; charset=utf-8\r\n", "");
    table.row("untyped", After, untyped, Fine);
    let commented = fine().comment("late").comment(&json!({"not": "read"}).to_string());
    table.row("comment-last", After, commented, Fine);
}
