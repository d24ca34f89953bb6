//! Google's errors, classed by what they name: statuses, reasons and quotas, never the wording of a message.
//!
//! Source: google.rpc.Status and google.rpc error details (googleapis), "Troubleshooting guide" (ai.google.dev), and
//! recorded traffic: Google sends no `Retry-After` and no rate-limit headers, only these details.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::adapter::ProviderError;
use crate::adapter::classify::by_status;
use crate::adapter::hints::retry_after;
use crate::adapter::text::sanitise;
use crate::api::Outcome;

/// An error object, or what there is of one.
#[derive(Debug, Default)]
pub(super) struct GoogleError {
    /// The HTTP status that it names.
    code: Option<u16>,
    message: Option<String>,
    /// The name of its google.rpc.Code.
    status: Option<String>,
    details: Vec<Value>,
}

impl GoogleError {
    /// Reads an error body, whatever its shape: an object, or a list of one, as streams give it.
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let body = match body.get(0) {
            Some(first) => first,
            None => &body,
        };
        body.get("error").map(Self::of).unwrap_or_default()
    }

    /// Reads an error object.
    pub(super) fn of(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Self {
            code: code.filter(|code| (400..600).contains(code)),
            message: text("message").or_else(|| error.as_str().map(str::to_owned)),
            status: text("status"),
            details: error.get("details").and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }

    /// The error with its class, from the status that it came with.
    pub(super) fn classed(self, status: u16, headers: &HeaderMap) -> ProviderError {
        let (outcome, status) = self.class(status);
        let message = self.message.as_deref().filter(|message| !message.is_empty());
        let default = || format!("the provider answered with status {status}");
        ProviderError {
            outcome,
            status,
            message: sanitise(&message.map_or_else(default, str::to_owned)),
            kind: self.status.as_deref().map(sanitise),
            code: self.texts("reason").next().map(sanitise),
            param: self.items("fieldViolations", "field").find_map(Value::as_str).map(sanitise),
            retry_after: self.texts("retryDelay").find_map(duration).or_else(|| retry_after(headers)),
        }
    }

    /// An error inside a 200: the status is the one that it names.
    pub(super) fn in_band(self) -> ProviderError {
        let status = self.code.unwrap_or(500);
        self.classed(status, &HeaderMap::new())
    }

    /// The class, and the status to show.
    fn class(&self, status: u16) -> (Outcome, u16) {
        match status {
            // Google answers 400 to a key that it does not know; everybody else says 401.
            _ if self.texts("reason").any(|reason| reason == "API_KEY_INVALID") => (Outcome::Credential, 401),
            // The region, or billing: another key may be allowed.
            400 if self.status.as_deref() == Some("FAILED_PRECONDITION") => (Outcome::NotForKey, status),
            429 => (self.quota(), status),
            // "Cancelled": not by the app, which would not be there to be told.
            499 => (Outcome::Transient, 502),
            _ => (by_status(status), status),
        }
    }

    /// Which quota was exceeded. One of zero is no quota but a no; one per day does not come back with a short delay,
    /// whatever `RetryInfo` says.
    fn quota(&self) -> Outcome {
        let zero = |value: &Value| value.as_str() == Some("0") || value.as_u64() == Some(0);
        let daily = |id: &str| id.contains("PerDay");
        // An older shape names the quota in the metadata of ErrorInfo.
        let metadata =
            |name: &'static str| self.details.iter().filter_map(move |detail| detail.get("metadata")?.get(name));
        if self.items("violations", "quotaValue").any(zero) {
            Outcome::NotForKey
        } else if self.items("violations", "quotaId").filter_map(Value::as_str).any(daily) {
            Outcome::RateDay
        } else if metadata("quota_limit_value").any(zero) {
            Outcome::NotForKey
        } else if metadata("quota_limit").filter_map(Value::as_str).any(daily) {
            Outcome::RateDay
        } else {
            Outcome::RateShort
        }
    }

    /// A text of that name in any of the details.
    fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.details.iter().filter_map(move |detail| detail.get(name)?.as_str())
    }

    /// A member of every item of a list of that name in any of the details.
    fn items<'a>(&'a self, list: &'a str, member: &'a str) -> impl Iterator<Item = &'a Value> {
        let lists = self.details.iter().filter_map(move |detail| detail.get(list)?.as_array());
        lists.flatten().filter_map(move |item| item.get(member))
    }
}

/// A duration in protobuf's JSON form: `34.4s`.
fn duration(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> ProviderError {
        GoogleError::read(body.as_bytes()).classed(status, &HeaderMap::new())
    }

    fn quota(id: &str, value: &str) -> Outcome {
        let body = format!(
            r#"{{"error":{{"code":429,"details":[
                {{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{id}","quotaValue":{value}}}]}},
                {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"5s"}}]}}}}"#
        );
        error(429, &body).outcome
    }

    #[test]
    fn a_key_that_google_does_not_know_is_a_401() {
        let body = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        let error = error(400, body);
        assert_eq!((error.outcome, error.status), (Outcome::Credential, 401));
        assert_eq!(error.kind.as_deref(), Some("INVALID_ARGUMENT"));
        assert_eq!(error.code.as_deref(), Some("API_KEY_INVALID"));
    }

    #[test]
    fn a_quota_of_zero_beats_a_day_and_a_day_beats_a_short_delay() {
        assert_eq!(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "\"0\""), Outcome::NotForKey);
        assert_eq!(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "\"50\""), Outcome::RateDay);
        assert_eq!(quota("GenerateRequestsPerMinutePerProjectPerModel", "\"10\""), Outcome::RateShort);
        assert_eq!(quota("GenerateRequestsPerMinutePerProjectPerModel", "0"), Outcome::NotForKey);
    }

    #[test]
    fn statuses_that_need_no_details() {
        let class = |status, body: &str| {
            let error = error(status, body);
            (error.outcome, error.status)
        };
        assert_eq!(class(400, r#"{"error":{"status":"FAILED_PRECONDITION"}}"#), (Outcome::NotForKey, 400));
        assert_eq!(class(400, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#), (Outcome::Caller, 400));
        assert_eq!(class(499, r#"[{"error":{"status":"CANCELLED"}}]"#), (Outcome::Transient, 502));
        assert_eq!(class(503, "<html>"), (Outcome::Transient, 503));
        assert_eq!(class(504, ""), (Outcome::Timeout, 504));
    }

    #[test]
    fn the_delay_and_the_field_are_read_and_a_list_is_unwrapped() {
        let body = r#"[{"error":{"message":"m","details":[{"retryDelay":"34.4s"},{"fieldViolations":[{"field":"contents"}]}]}}]"#;
        let error = error(429, body);
        assert_eq!(error.retry_after, Some(Duration::from_millis(34_400)));
        assert_eq!(error.param.as_deref(), Some("contents"));
        assert_eq!(error.message, "m");
    }
}
