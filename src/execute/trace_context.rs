//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): the trace that an app's request belongs to.
//!
//! Both headers are passed to the provider as they came. Bursar reports no spans of its own, so a new parent id would be
//! that of a span which nobody ever finds, and the provider's part of the trace would hang in the air; passing them
//! unchanged is what the specification asks of whoever takes no part in a trace. What does not read as the specification
//! says is not passed on at all, and a `tracestate` never without its `traceparent`.

use http::{HeaderMap, HeaderName, HeaderValue};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` and 32, 16 and 2 hexadecimal digits with `-` between.
const PARENT_BYTES: usize = 55;
/// What every participant must be able to pass on.
const STATE_BYTES_MAX: usize = 512;
/// The members that a state may have.
const STATE_MEMBERS_MAX: usize = 32;

/// The trace that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Reads it from an app's headers, where it is there and as it should be.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let parent = headers.get(PARENT)?;
        let only = headers.get_all(PARENT).iter().nth(1).is_none();
        (only && is_parent(parent.as_bytes())).then(|| Self { parent: parent.clone(), state: state(headers) })
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.parent.to_str().ok().and_then(|parent| parent.get(3..35)).unwrap_or_default()
    }

    /// Passes it on.
    pub(super) fn put_on(&self, headers: &mut HeaderMap) {
        headers.insert(PARENT, self.parent.clone());
        if let Some(state) = &self.state {
            headers.insert(STATE, state.clone());
        }
    }
}

/// Whether a value is a `traceparent`: version, trace id, parent id, flags. Later versions may say more behind those.
fn is_parent(value: &[u8]) -> bool {
    let fields: Vec<&[u8]> = value.splitn(5, |byte| *byte == b'-').collect();
    let [version, trace, parent, flags, rest @ ..] = fields.as_slice() else { return false };
    let hex = |field: &[u8], digits: usize| {
        field.len() == digits && field.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |field: &[u8]| field.iter().all(|byte| *byte == b'0');
    let fits = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let known = *version != b"ff" && (*version != b"00" || (rest.is_empty() && value.len() == PARENT_BYTES));
    fits && known && !zero(trace) && !zero(parent)
}

/// The state, its lines put together, if it is one.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines: Vec<&str> = headers.get_all(STATE).iter().map(|line| line.to_str()).collect::<Result<_, _>>().ok()?;
    let text = lines.join(",");
    let members: Vec<&str> = text.split(',').map(str::trim).filter(|member| !member.is_empty()).collect();
    let fits = !members.is_empty() && members.len() <= STATE_MEMBERS_MAX && text.len() <= STATE_BYTES_MAX;
    let good = |member: &&str| {
        let Some((key, value)) = member.split_once('=') else { return false };
        let of_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        let of_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
        !key.is_empty() && key.bytes().all(of_key) && !value.is_empty() && value.bytes().all(of_value)
    };
    if fits && members.iter().all(good) { HeaderValue::from_str(&members.join(",")).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(pairs: &[(HeaderName, &str)]) -> Option<TraceContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        TraceContext::read(&headers)
    }

    #[test]
    fn a_trace_is_passed_on_as_it_came() {
        let context = read(&[(PARENT, GOOD), (STATE, "vendor=a, "), (STATE, "b@c=1")]).unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let mut headers = HeaderMap::new();
        context.put_on(&mut headers);
        assert_eq!((&headers[PARENT], &headers[STATE]), (&GOOD.parse().unwrap(), &"vendor=a,b@c=1".parse().unwrap()));
        let later = format!("{}-more", GOOD.replacen("00", "cc", 1));
        assert!(read(&[(PARENT, &later)]).is_some(), "a later version may say more");
    }

    #[test]
    fn what_is_no_trace_is_not_passed_on() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let (upper, ff, longer) = (GOOD.to_uppercase(), GOOD.replacen("00", "ff", 1), format!("{GOOD}-more"));
        for bad in ["", "x", zeros, no_parent, &upper, &ff, &longer, &GOOD[1..]] {
            assert_eq!(read(&[(PARENT, bad)]), None, "{bad}");
        }
        assert_eq!(read(&[(STATE, "a=1")]), None);
        assert_eq!(read(&[(PARENT, GOOD), (PARENT, GOOD)]), None);
    }

    #[test]
    fn a_state_that_is_none_is_left_out() {
        let (many, long) = (vec!["a=1"; 33].join(","), format!("a={}", "x".repeat(512)));
        for bad in ["a", "A=1", "a=", "a=1=2", &many, &long] {
            let context = read(&[(PARENT, GOOD), (STATE, bad)]).unwrap();
            assert_eq!(context.state, None, "{bad}");
        }
    }
}
