//! What can be set on a connection, as options.

use std::str::FromStr;

use clap::Args;
use serde_json::Value;

use crate::api::admin::{Connection, CreateConnection, Limits, Object, PatchConnection};
use crate::api::{ConnectionName, LimitGroup, Moment, ProviderSlug};
use crate::cli::exit::{Exit, Failed};

/// A quota: a number, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota(Option<u64>);

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let plain: String = text.chars().filter(|&c| c != '_').collect();
        match plain.parse() {
            Ok(figure @ 1..) => Ok(Self(Some(figure))),
            _ => Err("write a number from 1 on, or none".into()),
        }
    }
}

/// `key=value`: the value is JSON where it can be, else text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    key: String,
    value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as organization=org-1")?;
        if key.split('.').any(str::is_empty) {
            return Err("the key is empty: write KEY=VALUE, such as organization=org-1".into());
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { key: key.to_owned(), value })
    }
}

/// What both a new connection and a changed one take.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Settings")]
pub(super) struct Settings {
    /// Lower goes first
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// Its share among equals of its priority
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    weight: Option<u32>,
    /// Requests in any 60 seconds, or none
    #[arg(long, value_name = "N|none")]
    requests_per_minute: Option<Quota>,
    /// Requests in a calendar day, or none
    #[arg(long, value_name = "N|none")]
    requests_per_day: Option<Quota>,
    /// Tokens in any 60 seconds, in and out, or none
    #[arg(long, value_name = "N|none")]
    tokens_per_minute: Option<Quota>,
    /// Tokens in a calendar day, in and out, or none
    #[arg(long, value_name = "N|none")]
    tokens_per_day: Option<Quota>,
    /// Requests under way at once, or none
    #[arg(long, value_name = "N|none")]
    concurrent: Option<Quota>,
    /// The limit group of providers.toml whose quota it shares
    #[arg(long, value_name = "GROUP")]
    limit_group: Option<LimitGroup>,
    /// When its secret ends, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Moment>,
    /// A setting of its kind, such as organization=org-1 or headers.x-team=a; more than once for more
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<Setting>,
}

/// What only a connection that is there already takes.
#[derive(Debug, Args, Default)]
pub(super) struct Changes {
    #[command(flatten)]
    settings: Settings,
    /// Let it share no group's quota
    #[arg(long, conflicts_with = "limit_group", help_heading = "Settings")]
    no_limit_group: bool,
    /// Let its secret end at no known time
    #[arg(long, conflicts_with = "expires_at", help_heading = "Settings")]
    no_expiry: bool,
    /// Take a setting away; more than once for more
    #[arg(long = "unset", value_name = "KEY", help_heading = "Settings")]
    unset: Vec<String>,
}

impl Settings {
    /// A new connection with these.
    pub(super) fn create(self, provider: ProviderSlug, name: ConnectionName) -> Result<CreateConnection, Failed> {
        let settings = self.settings(Object::new())?;
        Ok(CreateConnection {
            priority: self.priority,
            weight: self.weight,
            limits: self.limits(Limits::default()),
            limit_group: self.limit_group,
            settings,
            expires_at: self.expires_at,
            ..CreateConnection::new(provider, name)
        })
    }

    /// The quotas, if any is named.
    fn limits(&self, before: Limits) -> Option<Limits> {
        let one = |given: Option<Quota>, before: Option<u64>| given.map_or(before, |quota| quota.0);
        let named = [
            self.requests_per_minute,
            self.requests_per_day,
            self.tokens_per_minute,
            self.tokens_per_day,
            self.concurrent,
        ];
        named.iter().any(Option::is_some).then(|| Limits {
            requests_per_minute: one(self.requests_per_minute, before.requests_per_minute),
            requests_per_day: one(self.requests_per_day, before.requests_per_day),
            tokens_per_minute: one(self.tokens_per_minute, before.tokens_per_minute),
            tokens_per_day: one(self.tokens_per_day, before.tokens_per_day),
            concurrent: one(self.concurrent, before.concurrent),
        })
    }

    /// The settings of its kind, if any is named.
    fn settings(&self, mut settings: Object) -> Result<Option<Object>, Failed> {
        for Setting { key, value } in &self.set {
            put(&mut settings, key, value.clone())?;
        }
        Ok((!self.set.is_empty()).then_some(settings))
    }
}

impl Changes {
    /// What these change of a connection.
    pub(super) fn patch(self, before: &Connection) -> Result<PatchConnection, Failed> {
        let mut settings = before.settings.clone();
        let known: Vec<_> = self.unset.iter().filter(|key| take(&mut settings, key)).collect();
        if known.len() < self.unset.len() {
            return Err(Failed::data(format!(
                "{} has not all of these settings: {}",
                before.id,
                self.unset.join(", ")
            )));
        }
        let taken = (!known.is_empty()).then(|| settings.clone());
        let given = &self.settings;
        let patch = PatchConnection {
            status: None,
            priority: given.priority,
            weight: given.weight,
            limits: given.limits(before.limits),
            settings: given.settings(settings)?.or(taken),
            ui_metadata: None,
            limit_group: if self.no_limit_group { Some(None) } else { given.limit_group.clone().map(Some) },
            expires_at: if self.no_expiry { Some(None) } else { given.expires_at.map(Some) },
        };
        if !patch.edits() {
            let help = "say what to change: `bursar connections edit --help` lists what can be";
            return Err(Failed::new(Exit::Usage, help));
        }
        Ok(patch)
    }
}

/// Puts a value under a dotted key.
fn put(object: &mut Object, key: &str, value: Value) -> Result<(), Failed> {
    let Some((first, rest)) = key.split_once('.') else {
        object.insert(key.to_owned(), value);
        return Ok(());
    };
    let inner = object.entry(first).or_insert_with(|| Value::Object(Object::new()));
    match inner {
        Value::Object(inner) => put(inner, rest, value),
        _ => Err(Failed::data(format!("the setting {first} holds no further settings"))),
    }
}

/// Takes what is under a dotted key away; false where there was nothing.
fn take(object: &mut Object, key: &str) -> bool {
    match key.split_once('.') {
        None => object.remove(key).is_some(),
        Some((first, rest)) => match object.get_mut(first) {
            Some(Value::Object(inner)) => take(inner, rest),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::connections::tables::tests::connection;

    #[test]
    fn a_quota_is_a_number_or_none() {
        assert_eq!("10_000".parse(), Ok(Quota(Some(10_000))));
        assert_eq!("none".parse(), Ok(Quota(None)));
        for bad in ["0", "-1", "many", ""] {
            assert!(bad.parse::<Quota>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let mut before = connection("openai:main");
        before.limits = Limits { requests_per_minute: Some(500), concurrent: Some(32), ..Limits::default() };
        let settings = Settings { requests_per_minute: Some(Quota(None)), ..Settings::default() };
        let patch = Changes { settings, ..Changes::default() }.patch(&before).unwrap();
        assert_eq!(patch.limits, Some(Limits { concurrent: Some(32), ..Limits::default() }));
        assert_eq!((patch.priority, patch.limit_group), (None, None));
    }

    #[test]
    fn settings_go_under_dotted_keys_and_come_away_again() {
        let mut before = connection("openai:main");
        let set =
            ["organization=org-1", "headers.x-team=a", "timeouts.total=\"20s\""].map(|text| text.parse().unwrap());
        let settings = Settings { set: set.into(), ..Settings::default() };
        let patch = Changes { settings, ..Changes::default() }.patch(&before).unwrap();
        before.settings = patch.settings.unwrap();
        let json = serde_json::to_string(&before.settings).unwrap();
        assert_eq!(json, r#"{"organization":"org-1","headers":{"x-team":"a"},"timeouts":{"total":"20s"}}"#);

        let unset = vec!["headers.x-team".to_owned(), "timeouts".to_owned()];
        let patch = Changes { unset, ..Changes::default() }.patch(&before).unwrap();
        assert_eq!(serde_json::to_string(&patch.settings).unwrap(), r#"{"organization":"org-1","headers":{}}"#);
        let unknown = Changes { unset: vec!["nothing".into()], ..Changes::default() };
        assert!(unknown.patch(&before).is_err());
    }

    #[test]
    fn an_edit_that_changes_nothing_is_a_slip() {
        assert_eq!(Changes::default().patch(&connection("openai:main")).unwrap_err().exit, Exit::Usage);
    }
}
