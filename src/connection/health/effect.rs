//! What the class of an attempt's end does to the state: the design's table of outcomes, its last column.

use crate::api::Outcome;

/// What is kept of an outcome, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// All that began before the attempt was sent is over: cooldown, park, bar, breaker.
    Served,
    /// The connection's breaker counts a failure.
    Failed,
    /// The model cools for the account: for the hint, or a guess that doubles.
    CoolShort,
    /// The model cools for the account until the provider's day is over.
    CoolDay,
    /// The account parks.
    Park,
    /// The credential is rejected until there is another one, a test passes, or an operator says so.
    Reject,
    /// The model is not for this connection for a while.
    Bar,
    /// Nothing.
    None,
}

/// The effect of an outcome.
pub const fn effect(outcome: Outcome) -> Effect {
    match outcome {
        Outcome::Ok => Effect::Served,
        Outcome::Transient | Outcome::Timeout | Outcome::Cut | Outcome::InBand => Effect::Failed,
        Outcome::RateShort => Effect::CoolShort,
        Outcome::RateDay => Effect::CoolDay,
        Outcome::Quota => Effect::Park,
        Outcome::Credential => Effect::Reject,
        Outcome::NotForKey => Effect::Bar,
        Outcome::TooLarge | Outcome::Caller | Outcome::ClientGone | Outcome::Unavailable => Effect::None,
    }
}

/// Whether an outcome shows that the provider is there, though it did not serve.
pub(super) const fn shows_life(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::RateShort
            | Outcome::RateDay
            | Outcome::Quota
            | Outcome::Credential
            | Outcome::NotForKey
            | Outcome::TooLarge
            | Outcome::Caller
    )
}
