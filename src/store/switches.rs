//! What operators switched on things that TOML declares. TOML owns what they are; the store owns the switches.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::change_log::Change;
use super::record::{self, Record, RecordError};
use super::state::{self, State};
use crate::api::{ConnectionId, ConnectionName, ProviderSlug};
use crate::credential::{Fingerprint, Origin};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionSwitch {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// The secret and origin that were last accepted for it: another secret clears a rejection, and another origin
    /// with the same secret waits for an operator.
    pub fingerprint: Option<Fingerprint>,
    /// The origin of that fingerprint: with it, the same secret for another origin is told from another secret.
    pub origin: Option<Origin>,
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

            /// Whether a record reads; none if it is not of this table.
            pub(super) fn reads(key: &[u8], value: &[u8]) -> Option<Result<(), RecordError>> {
                key.starts_with($prefix.as_bytes()).then(|| record::decode::<Named<$switch>>(key, value).map(drop))
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

            /// A switch to be stored together with other changes.
            pub(super) fn change(of: &$key, switch: &$switch) -> Result<Change, StoreError> {
                state::encoded(Self::key(of), &Named { name: of.to_string(), switch: switch.clone() })
            }

            /// Forgets one's switch. Durable when this returns.
            ///
            /// # Errors
            /// When the disk is full, or the change cannot be made durable.
            pub fn remove(&self, of: &$key) -> Result<(), StoreError> {
                self.state.remove(Self::key(of))
            }

            pub(super) fn key(of: &$key) -> Vec<u8> {
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
    const FORMAT: u8;
    type Form: Serialize + for<'de> Deserialize<'de>;

    fn to_form(&self) -> Self::Form;
    fn from_form(form: Self::Form) -> Result<Self, RecordError>;
    /// Reads the name and the switch of an earlier format.
    fn from_earlier(format: u8, body: &[u8]) -> Result<(String, Self), RecordError>;
}

impl<S: Switch> Record for Named<S> {
    const KIND: &'static str = S::KIND;
    const FORMAT: u8 = S::FORMAT;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, &(&self.name, self.switch.to_form()))
    }

    fn from_body(format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let (name, switch) = if format == S::FORMAT {
            let (name, form) = record::from_bytes(Self::KIND, body)?;
            (name, S::from_form(form)?)
        } else {
            S::from_earlier(format, body)?
        };
        Ok(Self { name, switch })
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
    const FORMAT: u8 = 1;
    type Form = ProviderSwitchV1;

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

    fn from_earlier(format: u8, _: &[u8]) -> Result<(String, Self), RecordError> {
        Err(RecordError::Format { kind: Self::KIND, format })
    }
}

/// As version 1 wrote it, which never knew the origin.
#[derive(Serialize, Deserialize)]
struct ConnectionSwitchV1 {
    enabled: Option<bool>,
    fingerprint: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct ConnectionSwitchV2 {
    enabled: Option<bool>,
    fingerprint: Option<[u8; 16]>,
    origin: Option<String>,
}

impl Switch for ConnectionSwitch {
    const KIND: &'static str = "connection switch";
    const FORMAT: u8 = 2;
    type Form = ConnectionSwitchV2;

    fn to_form(&self) -> ConnectionSwitchV2 {
        ConnectionSwitchV2 {
            enabled: self.enabled,
            fingerprint: self.fingerprint.map(|print| print.0),
            origin: self.origin.as_ref().map(ToString::to_string),
        }
    }

    fn from_form(form: ConnectionSwitchV2) -> Result<Self, RecordError> {
        let origin = form.origin.map(|origin| origin.parse()).transpose();
        Ok(Self {
            enabled: form.enabled,
            fingerprint: form.fingerprint.map(Fingerprint),
            origin: origin.map_err(|error| RecordError::body(Self::KIND, error))?,
        })
    }

    fn from_earlier(_: u8, body: &[u8]) -> Result<(String, Self), RecordError> {
        let (name, ConnectionSwitchV1 { enabled, fingerprint }) = record::from_bytes(Self::KIND, body)?;
        Ok((name, Self { enabled, fingerprint: fingerprint.map(Fingerprint), origin: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_of_a_declared_connection_reads_back_in_either_format() {
        let switch = ConnectionSwitch {
            enabled: Some(false),
            fingerprint: Some(Fingerprint([7; 16])),
            origin: Some("https://api.example".parse().unwrap()),
        };
        let named = Named { name: "openai:toml".into(), switch: switch.clone() };
        let read = Named::<ConnectionSwitch>::from_body(2, &named.to_body().unwrap()).unwrap();
        assert_eq!((read.name.as_str(), read.switch), ("openai:toml", switch.clone()));
        let form = ConnectionSwitchV1 { enabled: Some(false), fingerprint: Some([7; 16]) };
        let earlier = record::to_bytes("connection switch", &("openai:toml", form)).unwrap();
        let read = Named::<ConnectionSwitch>::from_body(1, &earlier).unwrap();
        assert_eq!(read.switch, ConnectionSwitch { origin: None, ..switch });
    }
}
