//! Typed looks at single values: durations, paths, addresses, times, headers.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

use super::document::Value;
use super::walk::Cursor;
use super::{secret, suggest};
use crate::api::{Capabilities, Capability};
use crate::bounds;
use crate::credential::Origin;

/// Units of durations, in milliseconds. A year has 365 days.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// Headers that Bursar writes itself, or that belong to one connection between two hosts.
pub(super) const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that carry secrets.
const SECRET_HEADERS: &[&str] =
    &["api-key", "authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"];

impl Cursor<'_> {
    /// A duration: seconds as a number, or text with a unit.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let read = match self.value() {
            Value::Text(_) => duration(self.text()?),
            Value::Integer(digits, radix) => u64::from_str_radix(digits, *radix).ok().map(Duration::from_secs),
            Value::Decimal(text) => text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            _ => None,
        };
        let Some(read) = read else {
            self.error(
                "is not a duration: write seconds, or text such as \"500ms\", \"20s\", \"15m\", \"12h\", \"30d\"",
            );
            return None;
        };
        if !range.contains(&read) {
            self.error(format!("must be from {} to {}", shown(*range.start()), shown(*range.end())));
            return None;
        }
        Some(read)
    }

    /// A number of bytes.
    pub(super) fn bytes(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let read = match self.value() {
            Value::Text(_) => bytes(self.text()?),
            Value::Integer(digits, radix) => u64::from_str_radix(digits, *radix).ok(),
            _ => None,
        };
        match read {
            Some(read) if range.contains(&read) => Some(read),
            Some(_) => {
                self.error(format!("must be at least {} MiB", range.start() >> 20));
                None
            }
            None => {
                self.error("is not a size: write bytes, or text such as \"500MB\", \"20GB\", \"2GiB\"");
                None
            }
        }
    }

    /// A whole path.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.some_text()?);
        if !path.is_absolute() {
            self.error("write the whole path, beginning with /");
            return None;
        }
        Some(path)
    }

    /// An `http` or `https` address of which nothing but scheme, host, port and path is given. What is wrong with it is
    /// told without repeating it: it may hold a password.
    pub(super) fn address(&self) -> Option<Url> {
        let wrong = |message: &str| {
            self.error(message);
            None
        };
        let Ok(url) = Url::parse(self.some_text()?) else {
            return wrong("is not an address: write it whole, such as \"https://api.example.com/v1\"");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(&format!("must not hold a user name or password: {}", secret::WRITTEN_OUT));
        }
        // No secret can be bound to what has no origin, such as a host that is a dot and nothing else.
        if Origin::of(&url).is_err() {
            return wrong("must begin with https://, or with http://, and a host");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("must end with its path: leave out what follows the ? or #");
        }
        Some(url)
    }

    /// A time zone, for where days begin.
    pub(super) fn time_zone(&self) -> Option<TimeZone> {
        let name = self.some_text()?;
        TimeZone::get(name)
            .map_err(|_| self.error(format!("{name:?} is not a time zone: write \"UTC\" or such as \"Europe/Berlin\"")))
            .ok()
    }

    /// A moment: a date is its beginning in UTC.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        let text = match self.value() {
            Value::Time(text) => text.as_str(),
            _ => self.text()?,
        };
        let moment = text.parse().ok().or_else(|| {
            let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == "2027-01-31".len())?;
            date.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
        });
        if moment.is_none() {
            self.error(
                "is not a moment: write a date such as 2027-01-31, or one with time and zone: 2027-01-31T12:00:00Z",
            );
        }
        moment
    }

    /// A set of capabilities.
    pub(super) fn capabilities(&self) -> Capabilities {
        let words: Vec<_> = Capability::ALL.iter().map(|&capability| (capability.name(), capability)).collect();
        self.items().iter().filter_map(|item| item.word(&words)).collect()
    }

    /// A model's id, which may hold slashes and colons but no blanks. `id` is the key or text in question.
    pub(super) fn model_id(&self, id: &str) -> Option<String> {
        let fits = (1..=bounds::MODEL_BYTES_MAX).contains(&id.len());
        if !fits || id.chars().any(|char| char.is_control() || char.is_whitespace()) {
            let max = bounds::MODEL_BYTES_MAX;
            self.error_at_key(format!("is not a model's id: use 1 to {max} bytes without blanks"));
            return None;
        }
        Some(id.to_owned())
    }

    /// Headers to send: a table of text.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.entries().into_iter().filter_map(|(name, at)| at.header(name)).collect()
    }

    fn header(&self, name: &str) -> Option<(HeaderName, HeaderValue)> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            self.error_at_key("is not the name of a header");
            return None;
        };
        if SECRET_HEADERS.contains(&name.as_str()) {
            self.error_at_key(secret::WRITTEN_OUT);
            return None;
        }
        if OWN_HEADERS.contains(&name.as_str()) {
            self.error_at_key("is a header that Bursar writes itself: leave it out");
            return None;
        }
        let Ok(value) = HeaderValue::from_str(self.text()?) else {
            self.error("is not a header's value: use printable ASCII on one line");
            return None;
        };
        Some((name, value))
    }

    /// Tells of a reference that leads nowhere.
    pub(super) fn dangling<'w>(&self, what: &str, given: &str, known: impl IntoIterator<Item = &'w str>) {
        self.error(format!("there is no {what} {given:?}{}", suggest::did_you_mean(given, known)));
    }
}

/// `500ms`, `20s`, `15m`, `12h`, `30d`, `2w`, `10y`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|char: char| !char.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(end)?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    Some(Duration::from_millis(count.parse::<u64>().ok()?.checked_mul(*unit_ms)?))
}

/// Units of sizes, with their bytes.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|char: char| !char.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(end)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit.trim_start())?;
    count.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// A duration in the largest unit that holds it whole.
fn shown(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match UNITS.iter().rev().find(|(_, unit_ms)| ms > 0 && ms % unit_ms == 0) {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / unit_ms),
        None => "0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_with_their_units() {
        for (text, ms) in [("500ms", 500), ("20s", 20_000), ("2 m", 120_000), ("30d", 2_592_000_000), ("0s", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "20", "1.5s", "-1s", "20 sec", "99999999999999y", "1h30m"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(shown(Duration::from_secs(86_400)), "1d");
        assert_eq!(shown(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(shown(Duration::ZERO), "0");
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in [("500MB", 500_000_000), ("2 GiB", 2 << 30), ("7B", 7), ("1kB", 1_000)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "GB", "20", "1.5GB", "-1GB", "20 gb", "99999999999TB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
