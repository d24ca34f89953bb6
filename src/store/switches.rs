//! What operators switched on things that TOML declares. TOML owns what they are; the store owns the switches.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::state::State;
use crate::api::{ConnectionId, ConnectionName, ProviderSlug};
use crate::credential::Fingerprint;

/// An operator's word on a provider; none leaves TOML's in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderSwitch {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// The connection that goes first among equals, and that checks use.
    pub default_connection: Option<ConnectionName>,
    /// What the dashboard keeps with it: a JSON object's text, or empty.
    pub ui_preferences: String,
}

/// An operator's word on a connection that TOML manages; none leaves TOML's in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionSwitch {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// The secret and origin that were last accepted for it: another secret clears a rejection, and another origin
    /// with the same secret waits for an operator.
    pub fingerprint: Option<Fingerprint>,
}

macro_rules! switches {
    ($(#[$doc:meta])* $table:ident, $prefix:literal, $key:ty => $switch:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $table<'a> {
            state: &'a State,
        }

        impl<'a> $table<'a> {
            pub(super) fn new(state: &'a State) -> Self {
                Self { state }
            }

            /// All switches with what they belong to, in order.
            ///
            /// # Errors
            /// When the database cannot be read.
            pub fn list(&self) -> Result<Vec<($key, $switch)>, StoreError> {
                let all = self.state.list::<Named<$switch>>($prefix.as_bytes())?;
                let parse = |one: Named<$switch>| match one.name.parse() {
                    Ok(name) => Ok((name, one.switch)),
                    Err(error) => Err(RecordError::body(<$switch>::KIND, error).into()),
                };
                all.into_iter().map(parse).collect()
            }

            /// One's switch; where nothing was switched, the default.
            ///
            /// # Errors
            /// When the database cannot be read.
            pub fn get(&self, of: &$key) -> Result<$switch, StoreError> {
                Ok(self.state.get::<Named<$switch>>(&Self::key(of))?.map(|one| one.switch).unwrap_or_default())
            }

            /// Stores one's switch. Durable when this returns.
            ///
            /// # Errors
            /// When the disk is full, the record too large, or the change cannot be made durable.
            pub fn put(&self, of: &$key, switch: &$switch) -> Result<(), StoreError> {
                self.state.put(Self::key(of), &Named { name: of.to_string(), switch: switch.clone() })
            }

            /// Forgets one's switch. Durable when this returns.
            ///
            /// # Errors
            /// When the disk is full, or the change cannot be made durable.
            pub fn remove(&self, of: &$key) -> Result<(), StoreError> {
                self.state.remove(Self::key(of))
            }

            fn key(of: &$key) -> Vec<u8> {
                format!("{}{of}", $prefix).into_bytes()
            }
        }
    };
}

switches!(
    /// The table of providers' switches. All calls block.
    ProviderSwitches, "p/", ProviderSlug => ProviderSwitch
);
switches!(
    /// The table of the switches of connections that TOML manages. All calls block.
    ConnectionSwitches, "s/", ConnectionId => ConnectionSwitch
);

/// A switch with the name of what it belongs to.
struct Named<S> {
    name: String,
    switch: S,
}

/// The stored form of a switch.
trait Switch: Sized {
    const KIND: &'static str;
    type FormV1: Serialize + for<'de> Deserialize<'de>;

    fn to_form(&self) -> Self::FormV1;
    fn from_form(form: Self::FormV1) -> Result<Self, RecordError>;
}

impl<S: Switch> Record for Named<S> {
    const KIND: &'static str = S::KIND;
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, &(&self.name, self.switch.to_form()))
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let (name, form) = record::from_bytes(Self::KIND, body)?;
        Ok(Self { name, switch: S::from_form(form)? })
    }
}

#[derive(Serialize, Deserialize)]
struct ProviderSwitchV1 {
    enabled: Option<bool>,
    default_connection: Option<String>,
    ui_preferences: String,
}

impl Switch for ProviderSwitch {
    const KIND: &'static str = "provider switch";
    type FormV1 = ProviderSwitchV1;

    fn to_form(&self) -> ProviderSwitchV1 {
        ProviderSwitchV1 {
            enabled: self.enabled,
            default_connection: self.default_connection.as_ref().map(ToString::to_string),
            ui_preferences: self.ui_preferences.clone(),
        }
    }

    fn from_form(form: ProviderSwitchV1) -> Result<Self, RecordError> {
        let name = form.default_connection.map(|name| name.parse()).transpose();
        Ok(Self {
            enabled: form.enabled,
            default_connection: name.map_err(|error| RecordError::body(Self::KIND, error))?,
            ui_preferences: form.ui_preferences,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ConnectionSwitchV1 {
    enabled: Option<bool>,
    fingerprint: Option<[u8; 16]>,
}

impl Switch for ConnectionSwitch {
    const KIND: &'static str = "connection switch";
    type FormV1 = ConnectionSwitchV1;

    fn to_form(&self) -> ConnectionSwitchV1 {
        ConnectionSwitchV1 { enabled: self.enabled, fingerprint: self.fingerprint.map(|print| print.0) }
    }

    fn from_form(form: ConnectionSwitchV1) -> Result<Self, RecordError> {
        Ok(Self { enabled: form.enabled, fingerprint: form.fingerprint.map(Fingerprint) })
    }
}
