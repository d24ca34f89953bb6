//! The log: one line an event on standard error, for people on a terminal, as JSON for a journal that asks for it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts the log. `verbose` counts `-v`; `BURSAR_LOG` says more precisely what is wanted (`info,bursar=debug`), and
/// `BURSAR_LOG_FORMAT=json` makes each line a JSON object.
pub fn init(verbose: u8) {
    let default = match verbose {
        0 => "info",
        1 => "info,bursar=debug",
        _ => "debug,bursar=trace",
    };
    let filter = EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::env::var_os("BURSAR_LOG_FORMAT").is_some_and(|format| format == "json") {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    // A second start, as in tests, keeps the first.
    drop(started);
}
