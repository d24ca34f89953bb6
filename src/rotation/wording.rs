//! The reasons for passing a connection over, in words. Every reason must be worded: the matches name them all.

use std::fmt;

use super::pool::Skip;

impl Skip {
    /// The word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProviderDisabled => "provider_disabled",
            Self::Disabled => "disabled",
            Self::NeedsSecret => "needs_secret",
            Self::Rejected => "rejected",
            Self::OutOfRoom { .. } => "out_of_room",
            Self::Parked => "parked",
            Self::Cooling { .. } => "cooling",
            Self::Open { .. } => "open",
            Self::NotForKey { .. } => "not_for_key",
            Self::Lacks(_) => "lacks",
            Self::TooLarge => "too_large",
            Self::NotPinned => "not_pinned",
            Self::Overdue => "overdue",
            Self::RetryBudget => "retry_budget",
            Self::Budget { .. } => "budget_spent",
        }
    }
}

/// A sentence that goes on from the connection's name.
impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProviderDisabled => f.write_str("its provider is switched off"),
            Self::Disabled => f.write_str("it is switched off"),
            Self::NeedsSecret => f.write_str("it has no credential"),
            Self::Rejected => f.write_str("the provider refused its credential"),
            Self::OutOfRoom { .. } => f.write_str("one of its limits, or of its group's, is used up"),
            Self::Parked => f.write_str("its account is out of money or quota"),
            Self::Cooling { .. } => f.write_str("the model cools after a rate limit"),
            Self::Open { .. } => f.write_str("it failed too often of late, and is left alone for a while"),
            Self::NotForKey { .. } => f.write_str("the provider does not give its credential this model"),
            Self::Lacks(capability) => write!(f, "its model or provider does not have the capability {capability}"),
            Self::TooLarge => f.write_str("the request is larger than the model's context window"),
            Self::NotPinned => f.write_str("the request is pinned to another connection"),
            Self::Overdue => f.write_str("the request had taken as long as it may with this one"),
            Self::RetryBudget => f.write_str("its provider had failed the request, and too many others of late"),
            Self::Budget { .. } => f.write_str("a budget has nothing left for the request"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Capability;

    #[test]
    fn a_missing_capability_is_named() {
        let why = Skip::Lacks(Capability::Vision);
        assert_eq!(why.name(), "lacks");
        assert_eq!(why.to_string(), "its model or provider does not have the capability vision");
    }
}
