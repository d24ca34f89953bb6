//! How an attempt ended: the one vocabulary of rotation, records and replies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// The class of an attempt's end. What each class makes Bursar do is written in [`crate::rotation`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Outcome {
            $($(#[$doc])* $variant),*
        }

        impl Outcome {
            /// All outcomes, in the order of the design's table.
            pub const ALL: &'static [Outcome] = &[$(Outcome::$variant),*];

            /// The name as it stands in records and replies.
            pub const fn name(self) -> &'static str {
                match self { $(Outcome::$variant => $name),* }
            }
        }

        impl FromStr for Outcome {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($name => Ok(Outcome::$variant),)* _ => Err(()) }
            }
        }
    };
}

outcomes! {
    /// The provider answered.
    Ok = "ok",
    /// Connect, TLS, reset before content; 500, 502, 503, 529: may well work a moment later.
    Transient = "transient",
    /// 408, 504, 524, or the request's own deadline.
    Timeout = "timeout",
    /// A short rate limit: 429 per minute, or without detail.
    RateShort = "rate_short",
    /// A daily limit, until the provider's reset.
    RateDay = "rate_day",
    /// The account's money or quota is spent.
    Quota = "quota",
    /// The provider does not accept the credential.
    Credential = "credential",
    /// The credential is good, but not for this model or region.
    NotForKey = "not_for_key",
    /// This one request exceeds a limit or a context window; or its answer more than Bursar takes.
    TooLarge = "too_large",
    /// The app's own fault.
    Caller = "caller",
    /// An error inside a 200, before content, that names no class of its own.
    InBand = "in_band",
    /// The stream ended after content without its terminal event.
    Cut = "cut",
    /// The app hung up.
    ClientGone = "client_gone",
    /// No candidate could be tried.
    Unavailable = "unavailable",
}

impl Outcome {
    /// Whether an attempt that ended so failed through the provider or the way to it.
    pub const fn blames_provider(self) -> bool {
        use Outcome::{Caller, ClientGone, Ok, TooLarge, Unavailable};
        !matches!(self, Ok | Caller | TooLarge | ClientGone | Unavailable)
    }

    /// Whether a provider that gave this status may charge an attempt that ended so: it answered, though nobody could read
    /// that, began to, or may have worked unseen. What it refused is not billed, also where it says so inside a 200.
    pub fn may_cost(self, status: Option<u16>) -> bool {
        match self {
            Self::Ok | Self::Cut | Self::ClientGone | Self::Timeout => true,
            Self::Transient | Self::InBand | Self::TooLarge => {
                status.is_some_and(|status| (200..300).contains(&status))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_costs_nothing_also_inside_a_200() {
        assert!(Outcome::Transient.may_cost(Some(200)) && !Outcome::Transient.may_cost(Some(503)));
        assert!(Outcome::Timeout.may_cost(None) && !Outcome::RateShort.may_cost(Some(200)));
    }

    #[test]
    fn every_name_reads_back_and_is_what_json_shows() {
        for &outcome in Outcome::ALL {
            assert_eq!(outcome.name().parse(), Ok(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
