//! Misbehaviour on demand, by a connection's settings or by one request's header.

use std::str::FromStr;

use http::HeaderMap;

use super::HEADER;
use super::error::Problem;

/// Misbehaviour that a connection's settings ask for, or one request's `x-bursar-sandbox` header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Fault {
    /// The status to answer with.
    pub status: Option<u16>,
    /// `Retry-After` in seconds, beside the status.
    pub retry_after_s: Option<u64>,
    /// Milliseconds before the head.
    pub latency_ms: u64,
    /// Never answer.
    pub hang: bool,
    /// Break the connection after so many chunks of content; a body that is not streamed breaks in its middle.
    pub cut_after: Option<usize>,
}

impl Fault {
    /// What a request asks for; none where it has no such header.
    pub(super) fn asked(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut asked = None;
        for line in headers.get_all(HEADER) {
            let line = line.to_str().map_err(|_| refuse("it is no plain text"))?;
            let fault = asked.get_or_insert_with(Self::default);
            for word in line.split(';').map(str::trim).filter(|word| !word.is_empty()) {
                fault.take(word)?;
            }
        }
        Ok(asked)
    }

    fn take(&mut self, word: &str) -> Result<(), Problem> {
        let (name, value) = word.split_once('=').map_or((word, ""), |(name, value)| (name.trim(), value.trim()));
        match name.to_ascii_lowercase().as_str() {
            "status" => self.status = Some(status(value)?),
            "retry-after" => self.retry_after_s = Some(number(name, value)?),
            "latency-ms" => self.latency_ms = number(name, value)?,
            "cut-after" => self.cut_after = Some(number(name, value)?),
            "hang" if word == name => self.hang = true,
            _ => return Err(refuse(&format!("`{word}` is none of them"))),
        }
        Ok(())
    }
}

fn status(value: &str) -> Result<u16, Problem> {
    let status = number("status", value)?;
    if (400..600).contains(&status) { Ok(status) } else { Err(refuse("`status` goes from 400 to 599")) }
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N, Problem> {
    value.parse().map_err(|_| refuse(&format!("`{name}` wants a whole number")))
}

fn refuse(why: &str) -> Problem {
    let words = "`status=429`, `retry-after=3`, `latency-ms=50`, `hang`, `cut-after=2`, with `;` between";
    Problem::invalid(format!("the header `{HEADER}` takes the words {words}: {why}"))
}
