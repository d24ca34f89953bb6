use http::HeaderName;

use super::*;

const NOW_MS: i64 = 1_795_334_400_000; // 2026-11-22T08:00:00Z

fn headers(all: &[(&str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

fn declared(header: &'static str, figure: Figure, counted: Counted, window_s: u32) -> RateLimitHeader {
    let header = HeaderName::from_static(header);
    RateLimitHeader { header, figure, counted, window_s, format: ResetFormat::default() }
}

#[test]
fn hints_are_read_in_both_units() {
    let mut all = headers(&[("retry-after", "3")]);
    assert_eq!(retry_after(&all), Some(Duration::from_secs(3)));
    all.insert("retry-after-ms", "250".parse().unwrap());
    assert_eq!(retry_after(&all), Some(Duration::from_millis(250)));
    all.insert("retry-after-ms", "-1".parse().unwrap());
    assert_eq!(retry_after(&all), None);
}

#[test]
fn a_date_is_compared_with_the_replys_own_else_with_the_clock_of_the_caller() {
    let dated = "Sun, 22 Nov 2026 08:00:41 GMT";
    let mut all = headers(&[("retry-after", dated)]);
    assert_eq!(retry_after(&all), None, "nobody knows what time it is there");
    assert_eq!(retry_after_undated(&all, NOW_MS), Some(Duration::from_secs(41)));
    assert_eq!(retry_after_undated(&all, NOW_MS + 60_000), Some(Duration::ZERO));
    all.insert("date", "Sun, 22 Nov 2026 08:00:00 GMT".parse().unwrap());
    assert_eq!(retry_after(&all), Some(Duration::from_secs(41)));
    assert_eq!(retry_after_undated(&all, NOW_MS), None);
    all.insert("date", "Sun, 22 Nov 2026 09:00:00 GMT".parse().unwrap());
    assert_eq!(retry_after(&all), None);
    assert_eq!(retry_after_undated(&headers(&[("retry-after", "soon")]), NOW_MS), None);
}

#[test]
fn resets_are_read_in_each_format() {
    let read = |text, format| reset(text, format, NOW_MS).map(|reset| reset.as_secs_f64());
    for (text, seconds) in [
        ("1s", Some(1.0)),
        ("6m0s", Some(360.0)),
        ("2m59.56s", Some(179.56)),
        ("7.5ms", Some(0.0075)),
        ("1h2m3s", Some(3_723.0)),
        ("12.5", Some(12.5)),
        ("0s", Some(0.0)),
        ("", None),
        ("-1", None),
        ("5x", None),
        ("5", Some(5.0)),
        ("s", None),
        ("NaN", None),
        ("1e300", None),
    ] {
        assert_eq!(read(text, ResetFormat::Duration), seconds, "{text}");
    }
    assert_eq!(read("2026-11-22T08:00:30Z", ResetFormat::Rfc3339), Some(30.0));
    assert_eq!(read("2026-11-22T07:00:00Z", ResetFormat::Rfc3339), Some(0.0), "it is over");
    assert_eq!(read("1795334430000", ResetFormat::EpochMs), Some(30.0));
    assert_eq!(read("1795334430", ResetFormat::EpochS), Some(30.0));
    assert_eq!(read("now", ResetFormat::EpochMs), None);
}

#[test]
fn a_day_that_is_used_up_is_told_from_a_minute() {
    use Counted::{Requests, Tokens};
    // As Groq declares its headers.
    let table = [
        declared("x-ratelimit-limit-requests", Figure::Limit, Requests, 86_400),
        declared("x-ratelimit-remaining-requests", Figure::Remaining, Requests, 86_400),
        declared("x-ratelimit-reset-requests", Figure::Reset, Requests, 86_400),
        declared("x-ratelimit-remaining-tokens", Figure::Remaining, Tokens, 60),
        declared("x-ratelimit-reset-tokens", Figure::Reset, Tokens, 60),
    ];
    let read = |requests, tokens| {
        let all = [
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", requests),
            ("x-ratelimit-reset-requests", "2m59.5s"),
            ("x-ratelimit-remaining-tokens", tokens),
            ("x-ratelimit-reset-tokens", "7s"),
        ];
        Hints::read(&table, &headers(&all), NOW_MS)
    };
    let well = read("14370", "17997");
    assert_eq!((well.exhausted(), well.day_exhausted()), (None, None));
    assert_eq!((well.remaining.len(), well.remaining[0].limit), (2, Some(14_400)));
    assert_eq!(read("5", "0").exhausted(), Some(Duration::from_secs(7)));
    let day = read("0", "0");
    assert_eq!(day.day_exhausted().unwrap().resets_in, Some(Duration::from_millis(179_500)));
    assert_eq!(day.exhausted(), Some(Duration::from_millis(179_500)), "the longer one");
    assert_eq!(read("-1", "").exhausted(), None, "what is not known is not 0");
}
