//! What happened to connections and the configuration, as operators watch it.

use serde::{Deserialize, Serialize};

use crate::api::ids::{ConnectionId, ProviderSlug};
use crate::api::moment::Moment;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// The sort of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $variant),*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in replies.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

kinds! {
    /// A connection, or a model of one, is left alone for a while.
    Cooling = "cooling",
    /// An account is out of money or quota.
    Parked = "parked",
    /// A provider refused a credential.
    Rejected = "rejected",
    /// A connection failed too often, and its breaker opened.
    Opened = "opened",
    /// What stood against a connection is over.
    Back = "back",
    /// The configuration was read again, and is in force.
    Reloaded = "reloaded",
    /// The configuration was read again, and has errors: what was in force stays.
    ReloadFailed = "reload_failed",
    /// A budget is spent.
    Budget = "budget",
    /// A provider's list of models was fetched.
    ListFetched = "list_fetched",
}

/// One event of `GET /admin/v1/events`. As a server-sent event it is named by its kind, and has the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Counts up; later daemons of the same host begin above.
    pub id: u64,
    /// When.
    pub at: Moment,
    /// What sort of event.
    pub kind: EventKind,
    /// The provider that it is about.
    pub provider: Option<ProviderSlug>,
    /// The connection that it is about.
    pub connection: Option<ConnectionId>,
    /// The model that it is about; null: all of them.
    pub model: Option<String>,
    /// When it is over by itself.
    pub until: Option<Moment>,
    /// A sentence for people, sanitised.
    pub message: String,
}

impl Event {
    /// An event that is about to be told; its id and time are given to it then.
    pub fn new(kind: EventKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { id: 0, at: Moment(0), kind, provider: None, connection: None, model: None, until: None, message }
    }

    /// It is about a connection.
    #[must_use]
    pub fn of(self, connection: &ConnectionId) -> Self {
        let event = self.of_provider(&connection.provider);
        Self { connection: Some(connection.clone()), ..event }
    }

    /// It is about a provider.
    #[must_use]
    pub fn of_provider(self, provider: &ProviderSlug) -> Self {
        Self { provider: Some(provider.clone()), ..self }
    }

    /// It is about one model.
    #[must_use]
    pub fn model(self, model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..self }
    }

    /// It is over by itself at a time.
    #[must_use]
    pub fn until(self, at: Moment) -> Self {
        Self { until: Some(at), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_under_the_name_of_its_kind() {
        for &kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let id = "openai:main".parse().unwrap();
        let event = Event::new(EventKind::Cooling, "wait").of(&id).model("m").until(Moment(5));
        assert_eq!(event.provider.as_ref(), Some(&id.provider));
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
