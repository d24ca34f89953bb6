//! Secrets that files refer to: accepted for an address, renewed, confirmed.

use super::*;

const CANARY: &str = "sk-canary-canary-9876";

/// A house with one connection whose secret is in a file.
struct Keyed(House);

impl Keyed {
    fn new() -> Self {
        let keyed = Self(House::new());
        keyed.key(CANARY);
        keyed.at("10.0.0.1");
        assert_eq!(keyed.state(), HealthState::Ok);
        keyed
    }

    fn key(&self, key: &str) {
        std::fs::write(self.0.dir.path().join("key"), key).unwrap();
    }

    /// Puts the provider at a host, and reloads.
    fn at(&self, host: &str) -> crate::api::admin::Reload {
        let key = self.0.dir.path().join("key");
        self.0.write(&format!(
            "[providers.one]\nkind = \"openai\"\nbase_url = \"http://{host}/v1\"\nallow_private = true\n\
             [[connections]]\nprovider = \"one\"\nname = \"a\"\nsecret = {{ file = {key:?} }}\n"
        ));
        self.0.admin.sync_now(&Sync::default()).unwrap()
    }

    fn shown(&self) -> crate::api::admin::Connection {
        self.0.admin.connection(&id("one:a")).unwrap()
    }

    fn state(&self) -> HealthState {
        self.shown().health.state
    }

    fn reject(&self) {
        self.0.admin.health.of(&id("one:a")).reject_again(1, "no");
        assert_eq!(self.state(), HealthState::Rejected);
    }
}

#[test]
fn a_secret_waits_for_a_word_when_its_provider_moves_and_across_restarts_too() {
    let house = Keyed::new();
    let moved = house.at("10.0.0.2");
    let [warning] = &moved.warnings[..] else { panic!("{moved:?}") };
    assert_eq!((warning.line, warning.key.as_str()), (Some(3), "providers.one.base_url"));
    let shown = house.shown();
    assert_eq!((shown.health.state, shown.secret.set), (HealthState::NeedsSecret, false));
    let reason = shown.health.reason.unwrap();
    for part in ["accepted for http://10.0.0.1:80", "now at http://10.0.0.2:80", "bursar credentials confirm one:a"] {
        assert!(reason.contains(part), "{reason}");
    }
    let house = Keyed(house.0.reopened());
    assert_eq!(house.state(), HealthState::NeedsSecret);
    assert_eq!(house.0.admin.confirm_secret(&id("one:a")).unwrap().health.state, HealthState::Ok);
    house.0.admin.confirm_secret(&id("one:a")).unwrap();
    let house = Keyed(house.0.reopened());
    assert_eq!(house.state(), HealthState::Ok);
    // Back again is elsewhere again.
    house.at("10.0.0.1");
    assert_eq!(house.state(), HealthState::NeedsSecret);
}

#[test]
fn a_provider_that_moves_back_needs_no_word() {
    let house = Keyed::new();
    house.at("10.0.0.2");
    house.at("10.0.0.1");
    assert_eq!(house.state(), HealthState::Ok);
}

#[test]
fn another_secret_is_taken_with_another_address_and_clears_a_rejection() {
    let house = Keyed::new();
    house.reject();
    house.key("sk-another-another-1234");
    assert!(house.at("10.0.0.2").warnings.is_empty());
    let shown = house.shown();
    assert_eq!((shown.health.state, shown.secret.hint.as_deref()), (HealthState::Ok, Some("…1234")));
}

#[test]
fn a_refused_secret_is_read_again_and_the_same_one_stays_refused() {
    let house = Keyed::new();
    let admin = &house.0.admin;
    let one = [id("one:a")];
    house.reject();
    let generation = admin.engine.snapshot.load().generation;
    assert_eq!(admin.reread_secrets(&one).unwrap(), []);
    assert_eq!(house.state(), HealthState::Rejected);
    assert_eq!(admin.engine.snapshot.load().generation, generation, "nothing was published");
    house.key("sk-another-another-1234");
    assert_eq!(admin.reread_secrets(&one).unwrap(), one);
    assert_eq!(house.state(), HealthState::Ok);
    std::fs::remove_file(house.0.dir.path().join("key")).unwrap();
    assert_eq!(admin.reread_secrets(&one).unwrap(), one);
    assert_eq!(house.state(), HealthState::NeedsSecret);
    // It was known before it could not be had: to come back is no renewal.
    house.key("sk-another-another-1234");
    assert_eq!(admin.reread_secrets(&one).unwrap(), one);
    assert_eq!(house.state(), HealthState::Ok);
}

#[test]
fn only_what_a_file_refers_to_is_confirmed() {
    let house = Keyed::new();
    house.0.add("openai:main", Some("sk-stored"));
    let confirm = |name: &str| refused(house.0.admin.confirm_secret(&id(name))).0;
    assert_eq!(confirm("openai:main"), Code::Conflict);
    assert_eq!(confirm("openai:nobody"), Code::NotFound);
    std::fs::remove_file(house.0.dir.path().join("key")).unwrap();
    assert_eq!(confirm("one:a"), Code::Conflict);
}

#[test]
fn a_new_secret_is_told_as_a_change_and_none_is_shown() {
    let house = Keyed::new();
    house.key("sk-another-another-1234");
    let plan = house.0.admin.plan(&Sync::default()).unwrap();
    let [change] = &plan.changes[..] else { panic!("{plan:?}") };
    assert_eq!((change.name.as_str(), change.note.as_deref()), ("one:a", Some("its secret is another one")));
    assert!(!serde_json::to_string(&plan).unwrap().contains("another-1234"));
    assert!(house.0.admin.reload().changed && !house.0.admin.reload().changed);
}
