//! The text formats: OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), and Prometheus' older
//! one (0.0.4), which has neither units nor an end and other names for some types.

use std::fmt::{self, Display, Write as _};

/// Which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics.
    OpenMetrics,
    /// Prometheus' text format.
    Prometheus,
}

impl Form {
    /// What a reply says that it is.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The format that a header `Accept` likes best: OpenMetrics, unless text is all that is read.
    pub fn accepted(accept: &str) -> Self {
        let liking = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut quality = 1.0;
            let mut old = true;
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => old = matches!(value, "0.0.1" | "0.0.4" | "1.0.0"),
                    _ => {}
                }
            }
            let form = match essence.as_str() {
                "application/openmetrics-text" | "application/*" | "*/*" | "" if old => Self::OpenMetrics,
                "text/plain" | "text/*" if old => Self::Prometheus,
                _ => return None,
            };
            (quality > 0.0_f64).then_some((quality, form))
        };
        let best = accept.split(',').filter_map(liking).reduce(|one, other| if other.0 > one.0 { other } else { one });
        best.map_or(Self::Prometheus, |(_, form)| form)
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
    StateSet,
}

impl Kind {
    const fn name(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::Counter, _) => "counter",
            (Self::Histogram, _) => "histogram",
            (Self::Info, Form::OpenMetrics) => "info",
            (Self::StateSet, Form::OpenMetrics) => "stateset",
            (Self::Gauge | Self::Info | Self::StateSet, _) => "gauge",
        }
    }

    /// What its samples' names end with, where the older format wants that in the family's name.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram | Self::StateSet => "",
        }
    }
}

/// Milliseconds since 1970, or so many, shown in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Millis(pub(super) i64);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", ms / 1_000, ms % 1_000)
    }
}

/// A text in the making.
#[derive(Debug)]
pub(super) struct Text {
    form: Form,
    text: String,
    family: &'static str,
}

impl Text {
    pub(super) fn new(form: Form) -> Self {
        Self { form, text: String::with_capacity(16 * 1024), family: "" }
    }

    /// Begins a family. Its unit, if it has one, stands at the end of its name.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, unit: &str, help: &str) {
        self.family = name;
        let suffix = if self.form == Form::Prometheus { kind.suffix() } else { "" };
        let kind = kind.name(self.form);
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {kind}");
        if !unit.is_empty() && self.form == Form::OpenMetrics {
            let _ = writeln!(self.text, "# UNIT {name}{suffix} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}");
    }

    /// A sample of the family that was begun.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let text = &mut self.text;
        text.push_str(self.family);
        text.push_str(suffix);
        for (place, (name, value)) in labels.iter().enumerate() {
            text.push(if place == 0 { '{' } else { ',' });
            let _ = write!(text, "{name}=\"");
            escape(text, value);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }

    /// A family of one sample without labels.
    pub(super) fn one(&mut self, name: &'static str, kind: Kind, unit: &str, help: &str, value: impl Display) {
        self.family(name, kind, unit, help);
        self.sample(kind.suffix(), &[], value);
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_each_format_wants_it() {
        let written = |form| {
            let mut text = Text::new(form);
            text.family("bursar_a_seconds", Kind::Counter, "seconds", "Help.");
            text.sample("_total", &[("model", "a\"b\\c\nd"), ("x", "y")], Millis(1_500));
            text.one("bursar_b", Kind::Gauge, "", "Help.", 7);
            text.end()
        };
        insta::assert_snapshot!(written(Form::OpenMetrics), @r#"
        # TYPE bursar_a_seconds counter
        # UNIT bursar_a_seconds seconds
        # HELP bursar_a_seconds Help.
        bursar_a_seconds_total{model="a\"b\\c\nd",x="y"} 1.500
        # TYPE bursar_b gauge
        # HELP bursar_b Help.
        bursar_b 7
        # EOF
        "#);
        insta::assert_snapshot!(written(Form::Prometheus), @r#"
        # TYPE bursar_a_seconds_total counter
        # HELP bursar_a_seconds_total Help.
        bursar_a_seconds_total{model="a\"b\\c\nd",x="y"} 1.500
        # TYPE bursar_b gauge
        # HELP bursar_b Help.
        bursar_b 7
        "#);
    }

    #[test]
    fn the_format_is_the_one_that_the_scraper_likes_best() {
        for accept in [
            "",
            "*/*",
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,\
             application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5",
        ] {
            assert_eq!(Form::accepted(accept), Form::OpenMetrics, "{accept}");
        }
        for accept in [
            "text/plain",
            "text/plain;version=0.0.4, */*;q=0.1",
            "application/openmetrics-text;version=2.0.0, text/plain;q=0.5",
            "application/openmetrics-text;q=0, text/*",
            "application/json",
        ] {
            assert_eq!(Form::accepted(accept), Form::Prometheus, "{accept}");
        }
    }
}
