use std::path::Path;

use super::*;
use crate::api::admin::{
    ChangeAction, ChangeKind, ConnectionStatus, CreateConnection, EventKind, HealthCheck, HealthState, Limits,
    ManagedBy, Object, PatchConnection, PatchProvider, PutSecret, SecretText, Sync,
};
use crate::api::{ConnectionId, Outcome};
use crate::clock::Clock;
use crate::config::Environment;
use crate::credential::MasterKey;
use crate::execute::Worker;
use crate::store::{FreeBytes, Store};
use crate::upstream::Upstream;
use crate::usage::recorder;
use std::sync::{Arc, Mutex, OnceLock, Weak};

mod keys;
mod large;
mod notes;
mod secrets;
mod sync;

const PROVIDERS: &str = r#"
[providers.sandbox]
enabled = true
[providers.local]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
allow_private = true
[limit_groups.acme]
limits = { concurrent = 3 }
[[connections]]
provider = "local"
name = "declared"
secret = { file = "/nonexistent/secret" }
"#;

/// A house of its own for each test.
pub(super) struct House {
    dir: tempfile::TempDir,
    pub(super) admin: Arc<Admin>,
}

impl House {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("providers.toml"), PROVIDERS).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let file = format!(
            "[server]\nsocket = {:?}\n[store]\npath = {:?}\n[config]\nproviders = {:?}\n",
            at("a.sock"),
            at("state"),
            at("providers.toml")
        );
        std::fs::write(dir.path().join("bursar.toml"), file).unwrap();
        let admin = open(dir.path());
        Self { dir, admin }
    }

    /// The same house after the daemon was started again.
    fn reopened(self) -> Self {
        let Self { dir, admin } = self;
        drop(admin);
        let admin = open(dir.path());
        Self { dir, admin }
    }

    /// How a provider's last check went, asked for where blocking is allowed.
    fn last_check(&self, slug: &str) -> Option<HealthCheck> {
        let provider = || self.admin.provider(&slug.parse().unwrap()).unwrap();
        std::thread::scope(|scope| scope.spawn(provider).join().unwrap()).last_health_check
    }

    fn worker(&self) -> Worker {
        Worker { engine: Arc::clone(&self.admin.engine), upstream: Upstream::new() }
    }

    /// Writes the file of providers anew.
    fn write(&self, text: &str) {
        std::fs::write(self.dir.path().join("providers.toml"), text).unwrap();
    }

    fn add(&self, id: &str, secret: Option<&str>) {
        let secret = secret.map(|secret| SecretText::new(secret.to_owned()));
        self.admin.add_connection(CreateConnection { secret, ..create(id) }).unwrap();
    }
}

fn open(dir: &Path) -> Arc<Admin> {
    open_on(dir, Arc::new(|_| Ok(u64::MAX)))
}

fn open_on(dir: &Path, free: FreeBytes) -> Arc<Admin> {
    let environment = Environment::new(false, |name| (name == "HOME").then(|| dir.into()));
    let paths = Paths { daemon: Some(dir.join("bursar.toml")), environment, socket: None };
    let daemon = paths.read_daemon(None).unwrap();
    let key = MasterKey::parse(b"0123456789abcdef0123456789abcdef").unwrap();
    let store = Arc::new(Store::open_on(&daemon.value.store_path, &[key], free).unwrap());
    let (recorder, _) = recorder(Arc::clone(&store));
    Arc::new(Admin::open(paths, daemon, store, recorder, Clock::fixed(1_700_000_000_000)).unwrap())
}

fn id(text: &str) -> ConnectionId {
    text.parse().unwrap()
}

pub(super) fn create(text: &str) -> CreateConnection {
    let id = id(text);
    CreateConnection::new(id.provider, id.name)
}

fn settings(json: serde_json::Value) -> Object {
    json.as_object().unwrap().clone()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> (Code, Option<String>) {
    let failure = result.unwrap_err();
    (failure.code, failure.param)
}

#[test]
fn a_connection_is_in_force_at_once_and_after_a_new_start() {
    let house = House::new();
    house.add("openai:main", Some("sk-canary-canary-9876"));
    let shown = house.admin.connection(&id("openai:main")).unwrap();
    assert_eq!((shown.secret.hint.as_deref(), shown.health.state), (Some("…9876"), HealthState::Ok));
    assert!(house.admin.engine.snapshot.load().selection.is_provider_available(&shown.provider));
    assert!(!serde_json::to_string(&shown).unwrap().contains("canary"));

    let house = house.reopened();
    let again = house.admin.connection(&id("openai:main")).unwrap();
    assert_eq!((again.secret.set, again.managed_by), (true, ManagedBy::Store));
    house.admin.remove_connection(&again.id).unwrap();
    let house = house.reopened();
    assert_eq!(refused(house.admin.connection(&id("openai:main"))).0, Code::NotFound);
}

#[test]
fn what_cannot_be_added_is_refused_at_its_field() {
    let house = House::new();
    house.add("sandbox:main", None);
    let add = |create| refused(house.admin.add_connection(create));
    assert_eq!(add(create("nobody:main")).0, Code::NotFound);
    assert_eq!(add(create("sandbox:main")).0, Code::Conflict);
    assert_eq!(add(create("local:declared")).0, Code::Conflict);
    let at = |param: &str| (Code::InvalidRequest, Some(param.to_owned()));
    let new = || create("openai:new");
    let secret = Some(SecretText::new(String::from("two words")));
    assert_eq!(add(CreateConnection { secret, ..new() }), at("secret"));
    assert_eq!(add(CreateConnection { weight: Some(0), ..new() }), at("weight"));
    let limits = Some(Limits { concurrent: Some(0), ..Limits::default() });
    assert_eq!(add(CreateConnection { limits, ..new() }), at("limits.concurrent"));
    let limit_group = Some("other".parse().unwrap());
    assert_eq!(add(CreateConnection { limit_group, ..new() }), at("limit_group"));
    let misspelled = Some(settings(serde_json::json!({ "orgnization": "a" })));
    assert_eq!(add(CreateConnection { settings: misspelled, ..new() }), at("settings.orgnization"));
    assert_eq!(house.admin.connections(&ConnectionFilter::default()).connections.len(), 2);
}

#[test]
fn a_change_leaves_alone_what_it_does_not_name() {
    let house = House::new();
    house.add("openai:main", Some("sk-first"));
    let change = |json: serde_json::Value| {
        let patch: PatchConnection = serde_json::from_value(json).unwrap();
        house.admin.change_connection(&id("openai:main"), patch).unwrap()
    };
    change(serde_json::json!({ "priority": 3, "limit_group": "acme", "settings": { "organization": "org-1" } }));
    let after = change(serde_json::json!({ "weight": 7, "status": "disabled" }));
    assert_eq!((after.priority, after.weight, after.status), (3, 7, ConnectionStatus::Disabled));
    assert_eq!(after.settings, settings(serde_json::json!({ "organization": "org-1" })));
    assert!(after.secret.set);
    let after = change(serde_json::json!({ "limit_group": null, "status": "enabled" }));
    assert_eq!((after.limit_group, after.status), (None, ConnectionStatus::Enabled));
}

#[test]
fn a_declared_connection_is_only_switched() {
    let house = House::new();
    let declared = id("local:declared");
    let shown = house.admin.connection(&declared).unwrap();
    assert_eq!((shown.managed_by, shown.health.state), (ManagedBy::Toml, HealthState::NeedsSecret));
    assert!(shown.health.reason.unwrap().contains("/nonexistent/secret"));

    let switch = |status| PatchConnection { status: Some(status), ..PatchConnection::default() };
    let off = house.admin.change_connection(&declared, switch(ConnectionStatus::Disabled)).unwrap();
    assert_eq!(off.status, ConnectionStatus::Disabled);
    let house = house.reopened();
    assert_eq!(house.admin.connection(&declared).unwrap().status, ConnectionStatus::Disabled);
    let edit = PatchConnection { weight: Some(2), ..PatchConnection::default() };
    let failure = house.admin.change_connection(&declared, edit).unwrap_err();
    assert!(failure.code == Code::Conflict && failure.message.contains("providers.toml"), "{failure}");
    assert_eq!(refused(house.admin.remove_connection(&declared)).0, Code::Conflict);
}

#[test]
fn a_provider_is_switched_and_its_default_is_a_connection() {
    let house = House::new();
    let openai = "openai".parse().unwrap();
    let change = |patch| house.admin.change_provider(&openai, patch);
    let named = |name: &str| PatchProvider {
        default_connection: Some(Some(name.parse().unwrap())),
        ..PatchProvider::default()
    };
    assert_eq!(refused(change(named("main"))).1.as_deref(), Some("default_connection"));
    house.add("openai:main", Some("sk-first"));
    assert_eq!(change(named("main")).unwrap().default_connection.unwrap().as_str(), "main");
    let off = PatchProvider { enabled: Some(Some(false)), ..PatchProvider::default() };
    let shown = change(off).unwrap();
    assert!(!shown.enabled && shown.declared_enabled && !shown.available);
    assert!(!house.admin.connection(&id("openai:main")).unwrap().provider_enabled);

    house.admin.remove_connection(&id("openai:main")).unwrap();
    let house = house.reopened();
    let shown = house.admin.provider(&openai).unwrap();
    assert!(!shown.enabled && shown.default_connection.is_none(), "a default goes with its connection");
}

#[tokio::test]
async fn a_secret_that_fails_its_test_leaves_the_old_one_in_force() {
    let house = House::new();
    let fault = Some(settings(serde_json::json!({ "fault": { "status": 401 } })));
    let secret = Some(SecretText::new(String::from("sk-the-old-one-1111")));
    house.admin.add_connection(CreateConnection { secret, settings: fault, ..create("sandbox:main") }).unwrap();
    let put = |test| PutSecret { secret: SecretText::new(String::from("sk-the-new-one-2222")), test };
    let main = id("sandbox:main");
    let failure = put_secret(&house.admin, &house.worker(), &main, put(true)).await.unwrap_err();
    assert_eq!(failure.code, Code::UpstreamAuth, "{failure}");
    let kept = house.admin.connection(&main).unwrap();
    assert_eq!((kept.secret.hint.as_deref(), kept.health.state), (Some("…1111"), HealthState::Ok));
    assert_eq!(kept.health.errors, 0, "the old secret is not held to blame");

    assert_eq!(test(&house.admin, &house.worker(), &main).await.unwrap().outcome, Outcome::Credential);
    assert_eq!(house.admin.connection(&main).unwrap().health.state, HealthState::Rejected);
    let taken = put_secret(&house.admin, &house.worker(), &main, put(false)).await.unwrap();
    assert_eq!((taken.secret.hint.as_deref(), taken.health.state), (Some("…2222"), HealthState::Ok));
}

#[tokio::test]
async fn a_secret_that_fails_its_test_is_not_told_of_as_if_it_were_in_force() {
    let house = House::new();
    for (name, status) in [("sandbox:refused", 401), ("sandbox:poor", 402)] {
        let fault = Some(settings(serde_json::json!({ "fault": { "status": status } })));
        house.admin.add_connection(CreateConnection { settings: fault, ..create(name) }).unwrap();
        let put = PutSecret { secret: SecretText::new(String::from("sk-the-new-one-2222")), test: true };
        put_secret(&house.admin, &house.worker(), &id(name), put).await.unwrap_err();
        assert_eq!(house.admin.connection(&id(name)).unwrap().health.state, HealthState::Ok);
    }
    let told: Vec<_> = house.admin.engine.events.counts().filter(|(_, count)| *count > 0).collect();
    assert_eq!(told, [], "nothing became of what is in force");
    test(&house.admin, &house.worker(), &id("sandbox:poor")).await.unwrap();
    assert!(house.admin.engine.events.counts().any(|told| told == (EventKind::Parked, 1)));
}

#[tokio::test]
async fn a_check_of_all_takes_what_is_enabled() {
    let house = House::new();
    house.add("sandbox:main", None);
    house.add("sandbox:off", None);
    let off = PatchConnection { status: Some(ConnectionStatus::Disabled), ..PatchConnection::default() };
    house.admin.change_connection(&id("sandbox:off"), off).unwrap();
    assert_eq!(house.last_check("sandbox"), None);
    let report = check_all(&house.admin, &house.worker()).await;
    let shown: Vec<_> = report.results.iter().map(|one| (one.connection.to_string(), one.outcome)).collect();
    // A connection that lacks its secret fails without anybody being asked.
    assert_eq!(shown, [("local:declared".into(), Outcome::Credential), ("sandbox:main".into(), Outcome::Ok)]);
    let checked = check_provider(&house.admin, &house.worker(), &"sandbox".parse().unwrap()).await.unwrap();
    assert!(checked.results[0].models.contains(&"echo".to_owned()), "{checked:?}");
    let house = house.reopened();
    let last = |slug: &str| house.last_check(slug).unwrap();
    assert_eq!(
        (last("sandbox").outcome, last("sandbox").error, last("sandbox").at.0),
        (Outcome::Ok, None, 1_700_000_000_000)
    );
    let failed = last("local");
    assert_eq!((failed.outcome, failed.connection.as_str()), (Outcome::Credential, "declared"));
    assert!(failed.error.unwrap().contains("/nonexistent/secret"));
    assert_eq!(
        refused(check_provider(&house.admin, &house.worker(), &"openai".parse().unwrap()).await).0,
        Code::Unavailable
    );
}

#[test]
fn a_reload_says_what_changed_and_a_bad_file_changes_nothing() {
    let house = House::new();
    let file = house.dir.path().join("providers.toml");
    std::fs::write(&file, format!("{PROVIDERS}[limit_groups.more]\nlimits = {{ concurrent = 1 }}\n")).unwrap();
    let plan = house.admin.plan(&Sync::default()).unwrap();
    let reload = house.admin.sync_now(&Sync::default()).unwrap();
    assert_eq!(plan.changes, reload.changes);
    let [change] = &reload.changes[..] else { panic!("{reload:?}") };
    assert_eq!(
        (change.kind, change.action, change.name.as_str()),
        (ChangeKind::LimitGroup, ChangeAction::Added, "more")
    );

    std::fs::write(&file, "nonsense").unwrap();
    let before = house.admin.engine.snapshot.load().generation;
    let refused = house.admin.sync_now(&Sync::default()).unwrap();
    assert!(!refused.changed && refused.errors.len() == 1);
    assert_eq!(house.admin.engine.snapshot.load().generation, before);
    let status = house.admin.status(Process { started_ms: 0, workers: 1 }, 3);
    assert_eq!((status.last_reload, status.clients.open), (Some(refused), 3));
}

#[test]
fn a_reload_that_finds_nothing_new_is_remembered_and_no_news() {
    let house = House::new();
    let status = || house.admin.status(Process { started_ms: 0, workers: 1 }, 0);
    assert_eq!(status().last_reload, None);
    let reload = house.admin.sync_now(&Sync::default()).unwrap();
    assert!(!reload.changed && reload.errors.is_empty(), "{reload:?}");
    assert_eq!(status().last_reload, Some(reload));
    assert!(house.admin.engine.events.follow().0.is_empty());
}

#[test]
fn whoever_watches_sees_a_list_that_was_fetched_and_reloads() {
    let house = House::new();
    let admin = &house.admin;
    let local = Arc::clone(admin.engine.snapshot.load().selection.provider("local").unwrap());
    admin.keep_models(&local, vec!["a".into(), "b".into()]).unwrap();
    let file = house.dir.path().join("providers.toml");
    std::fs::write(&file, format!("{PROVIDERS}[routes.fast]\ntargets = [\"local/a\"]\n")).unwrap();
    assert!(admin.reload().errors.is_empty() && !admin.reload().changed);
    std::fs::write(&file, "[providers.local]\nknd = 1\n").unwrap();
    assert!(!admin.reload().errors.is_empty());
    let (events, _) = admin.engine.events.follow();
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.provider.clone())).collect();
    let list = (EventKind::ListFetched, Some(local.slug.clone()));
    assert_eq!(told, [list, (EventKind::Reloaded, None), (EventKind::ReloadFailed, None)]);
    assert_eq!(events[1].message, "generation 3 is in force, with 1 change");
    assert!(events[2].message.contains("providers.local"), "{}", events[2].message);
}

/// Added again before that, it got what was then forgotten, and nothing that was said of it was stored.
#[test]
fn a_removed_connection_is_forgotten_while_it_is_still_there() {
    let House { dir, admin } = House::new();
    drop(admin);
    let (watched, seen) = (Arc::new(OnceLock::<Weak<Admin>>::new()), Arc::new(Mutex::new(Vec::new())));
    let (watching, seeing) = (Arc::clone(&watched), Arc::clone(&seen));
    // Asked whenever something is to be stored, or removed from the store.
    let free = move |_: &Path| {
        if let Some(admin) = watching.get().and_then(Weak::upgrade) {
            seeing.lock().unwrap().push(admin.connection(&id("sandbox:main")).is_ok());
        }
        Ok(u64::MAX)
    };
    let house = House { admin: open_on(dir.path(), Arc::new(free)), dir };
    let limits = Some(Limits { requests_per_day: Some(10), ..Limits::default() });
    house.admin.add_connection(CreateConnection { limits, ..create("sandbox:main") }).unwrap();
    // A request that still runs keeps it from being swept away.
    let running = house.admin.engine.snapshot.load_full();
    watched.set(Arc::downgrade(&house.admin)).unwrap();
    house.admin.remove_connection(&id("sandbox:main")).unwrap();
    assert_eq!(*seen.lock().unwrap(), [true, true], "its record goes, then what was used of its limits");
    assert!(!house.admin.health.knows(&id("sandbox:main")));
    drop(running);
}
