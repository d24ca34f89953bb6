//! Files and store, brought together.

use super::*;
use crate::api::ProviderSlug;
use crate::api::admin::Orphan;
use crate::credential::Origin;

/// A provider at an address of its own.
fn provider(slug: &str, host: &str) -> String {
    format!("[providers.{slug}]\nkind = \"openai\"\nbase_url = \"http://{host}/v1\"\nallow_private = true\n")
}

fn map(pairs: &[(&str, &str)]) -> Sync {
    let slug = |text: &str| text.parse::<ProviderSlug>().unwrap();
    Sync { prune: false, map: pairs.iter().map(|(old, new)| (slug(old), slug(new))).collect() }
}

fn prune() -> Sync {
    Sync { prune: true, ..Sync::default() }
}

fn told(changes: &[crate::api::admin::Change]) -> Vec<String> {
    let one = |change: &crate::api::admin::Change| {
        let note = change.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{} {} {}{note}", change.action.name(), change.kind.name(), change.name)
    };
    changes.iter().map(one).collect()
}

fn orphans(all: &[Orphan]) -> Vec<String> {
    all.iter().map(|one| format!("{} {} ({})", one.kind.name(), one.name, one.keeps)).collect()
}

/// A house whose provider `old` has two connections, the first of them its default.
fn house() -> House {
    let house = House::new();
    house.write(&provider("old", "10.0.0.1"));
    assert_eq!(house.admin.reload().errors, []);
    house.add("old:main", Some("sk-canary-canary-9876"));
    house.add("old:second", None);
    let default = PatchProvider { default_connection: Some(Some("main".parse().unwrap())), ..PatchProvider::default() };
    house.admin.change_provider(&"old".parse().unwrap(), default).unwrap();
    house
}

fn opens(house: &House, connection: &str, host: &str) -> bool {
    let stored = house.admin.store.connections().get(&id(connection)).unwrap().unwrap();
    let origin: Origin = format!("http://{host}").parse().unwrap();
    let secret = house.admin.store.open_secret(&id(connection), &origin, stored.secret.as_ref().unwrap());
    secret.is_ok_and(|secret| secret.expose() == b"sk-canary-canary-9876")
}

#[test]
fn a_renamed_provider_keeps_its_connections_and_switches_where_it_is_mapped() {
    let house = house();
    house.write(&provider("new", "10.0.0.1"));
    let admin = &house.admin;
    let plan = admin.plan(&Sync::default()).unwrap();
    assert_eq!(told(&plan.changes), ["added provider new", "removed provider old"]);
    let kept =
        ["provider old (switches)", "connection old:main (a secret and settings)", "connection old:second (settings)"];
    assert_eq!(orphans(&plan.orphans), kept);
    let generation = admin.store.generation();
    let plan = admin.plan(&map(&[("old", "new")])).unwrap();
    assert_eq!(admin.store.generation(), generation, "a plan changes nothing");

    // The watcher comes first: nothing is lost.
    assert_eq!(orphans(&admin.reload().orphans), kept);
    assert_eq!(admin.connection(&id("old:main")).unwrap().health.reason.unwrap(), "provider old is no longer declared");
    assert!(admin.notes().iter().any(|note| note.contains("3 orphans are kept")), "{:?}", admin.notes());

    let synced = admin.sync_now(&map(&[("old", "new")])).unwrap();
    let moves = [
        "moved connection old:main: to new:main, with its secret",
        "moved connection old:second: to new:second",
        "moved provider old: its switches to new",
    ];
    assert_eq!(told(&synced.changes), moves);
    assert_eq!(told(&plan.changes)[2..], moves);
    assert_eq!(orphans(&synced.orphans), [""; 0]);
    assert!(opens(&house, "new:main", "10.0.0.1"));
    let shown = admin.provider(&"new".parse().unwrap()).unwrap();
    assert_eq!((shown.connections, shown.default_connection.unwrap().as_str()), (2, "main"));
    assert_eq!(admin.connection(&id("new:main")).unwrap().health.state, HealthState::Ok);
    assert_eq!(refused(admin.connection(&id("old:main"))).0, Code::NotFound);

    let generation = admin.store.generation();
    let again = admin.sync_now(&map(&[("old", "new")])).unwrap();
    assert!(!again.changed && again.changes.is_empty(), "{again:?}");
    assert_eq!(admin.store.generation(), generation, "nothing is written a second time");
    let house = house.reopened();
    assert!(opens(&house, "new:main", "10.0.0.1"));
}

#[test]
fn a_secret_does_not_follow_its_provider_to_another_address_and_is_not_lost_either() {
    let house = house();
    house.write(&provider("new", "10.0.0.2"));
    let synced = house.admin.sync_now(&map(&[("old", "new")])).unwrap();
    assert!(told(&synced.changes).iter().any(|line| line.contains("needs its secret again")), "{synced:?}");
    let shown = house.admin.connection(&id("new:main")).unwrap();
    assert_eq!(shown.health.state, HealthState::NeedsSecret);
    assert!(shown.health.reason.unwrap().contains("`bursar credentials set new:main` gives it"));
    let warned = |notes: &[String]| {
        notes.iter().any(|note| note.contains("providers.toml:3") && note.contains("the secret of new:main"))
    };
    assert!(warned(&house.admin.notes()), "{:?}", house.admin.notes());
    let house = house.reopened();
    assert!(warned(&house.admin.notes()), "a new start tells it too: {:?}", house.admin.notes());
    // Back at the old address the secret is as good as ever.
    house.write(&provider("newer", "10.0.0.1"));
    house.admin.sync_now(&map(&[("new", "newer")])).unwrap();
    assert_eq!(house.admin.connection(&id("newer:main")).unwrap().health.state, HealthState::Ok);
    assert!(opens(&house, "newer:main", "10.0.0.1"));

    // What is to be done is told until it is done.
    let warned = || house.admin.notes().iter().any(|note| note.contains("the secret of newer:main"));
    house.write(&provider("newer", "10.0.0.2"));
    house.admin.reload();
    assert!(warned());
    let (main, origin) = (id("newer:main"), "http://10.0.0.2".parse::<Origin>().unwrap());
    let secret = crate::credential::Secret::new("sk-canary-canary-9876".into()).unwrap();
    house.admin.replace_secret(&main, house.admin.store.seal(&main, &origin, &secret).unwrap()).unwrap();
    assert!(!warned(), "{:?}", house.admin.notes());
}

#[test]
fn what_was_observed_goes_along_with_a_connection() {
    let house = house();
    let admin = &house.admin;
    admin.health.of(&id("old:main")).reject_again(1_699_999_999_000, "it says no");
    house.write(&provider("new", "10.0.0.1"));
    admin.sync_now(&map(&[("old", "new")])).unwrap();
    let shown = admin.connection(&id("new:main")).unwrap();
    assert_eq!((shown.health.state, shown.health.reason.as_deref()), (HealthState::Rejected, Some("it says no")));
}

#[test]
fn a_renamed_provider_does_not_get_its_day_twice_whether_the_watcher_came_first_or_not() {
    for watcher_first in [false, true] {
        let house = House::new();
        let declared = |slug: &str| {
            let of_file = "name = \"file\"\nlimits = { requests_per_day = 10 }\n";
            format!("{}[[connections]]\nprovider = \"{slug}\"\n{of_file}", provider(slug, "10.0.0.1"))
        };
        house.write(&declared("old"));
        house.admin.reload();
        let limits = Limits { requests_per_day: Some(10), ..Limits::default() };
        house.admin.add_connection(CreateConnection { limits: Some(limits), ..create("old:main") }).unwrap();
        house.admin.begin_leases();
        let used = |house: &House, name: &str| house.admin.connection(&id(name)).unwrap().quotas[0].used;
        let call = |house: &House, name: &str, times: u64| {
            let snapshot = house.admin.engine.snapshot.load();
            let quotas = &snapshot.connections[&id(name)].quotas;
            for _ in 0..times {
                let now = house.admin.engine.clock.both();
                crate::connection::admission::reserve(&quotas.of("m"), 1, now, None).unwrap().end(now);
            }
        };
        call(&house, "old:main", 1);
        call(&house, "old:file", 1);
        house.write(&declared("new"));
        if watcher_first {
            house.admin.reload();
            call(&house, "new:file", 1);
        }
        house.admin.sync_now(&map(&[("old", "new")])).unwrap();
        let of_file = if watcher_first { 2 } else { 1 };
        assert_eq!((used(&house, "new:main"), used(&house, "new:file")), (1, of_file), "{watcher_first}");
        let stored = house.admin.store.counters().list().unwrap();
        assert!(stored.iter().all(|lease| !lease.scope.starts_with("c/old:")), "{stored:?}");
        let house = house.reopened();
        assert!(used(&house, "new:main") >= 1 && used(&house, "new:file") >= of_file, "a crash forgets none of it");
    }
}

#[test]
fn what_was_switched_on_a_declared_connection_moves_though_the_watcher_came_first() {
    let house = House::new();
    let secret = house.dir.path().join("key");
    std::fs::write(&secret, "sk-canary-canary-9876").unwrap();
    let declared = |slug: &str| {
        let of_file = format!("name = \"file\"\nsecret = {{ file = {secret:?} }}\n");
        format!("{}[[connections]]\nprovider = \"{slug}\"\n{of_file}", provider(slug, "10.0.0.1"))
    };
    house.write(&declared("old"));
    house.admin.reload();
    let off = PatchConnection { status: Some(ConnectionStatus::Disabled), ..PatchConnection::default() };
    house.admin.change_connection(&id("old:file"), off).unwrap();
    house.write(&declared("new"));
    house.admin.reload();
    let synced = house.admin.sync_now(&map(&[("old", "new")])).unwrap();
    assert_eq!(told(&synced.changes), ["moved connection old:file: its switches to new:file"]);
    assert_eq!(orphans(&synced.orphans), [""; 0]);
    let shown = house.admin.connection(&id("new:file")).unwrap();
    assert_eq!((shown.status, shown.health.state), (ConnectionStatus::Disabled, HealthState::Ok));
}

#[test]
fn a_map_that_does_not_fit_changes_nothing_at_all() {
    let house = house();
    let admin = &house.admin;
    let (before, generation) = (admin.engine.snapshot.load().generation, admin.store.generation());
    let refused = |wanted: &Sync| admin.sync_now(wanted).unwrap_err();
    assert_eq!(refused(&map(&[("old", "local")])).code, Code::Conflict, "it is still declared");
    house.write(&(provider("new", "10.0.0.1") + &provider("other", "10.0.0.3")));
    assert_eq!(refused(&map(&[("old", "nobody")])).param.as_deref(), Some("map"));
    house.write(&format!("{}[[connections]]\nprovider = \"new\"\nname = \"second\"\n", provider("new", "10.0.0.1")));
    let failure = refused(&map(&[("old", "new")]));
    assert!(failure.message.starts_with("old:second cannot become new:second: there is one of that name"), "{failure}");
    assert_eq!((admin.engine.snapshot.load().generation, admin.store.generation()), (before, generation));
    assert!(admin.connection(&id("old:main")).unwrap().provider_enabled, "not even the file was taken");
}

#[test]
fn orphans_go_when_they_are_pruned_and_not_before() {
    let house = house();
    let admin = &house.admin;
    let off = PatchConnection { status: Some(ConnectionStatus::Disabled), ..PatchConnection::default() };
    house.write(&format!("{}[[connections]]\nprovider = \"old\"\nname = \"file\"\n", provider("old", "10.0.0.1")));
    admin.reload();
    admin.change_connection(&id("old:file"), off).unwrap();
    house.write("");
    // It vanished by being emptied: an editor's half step.
    assert!(!admin.reload().errors.is_empty());
    house.write("# nothing\n");
    assert_eq!(admin.reload().orphans.len(), 4);
    let planned = admin.plan(&prune()).unwrap();
    assert_eq!(orphans(&planned.orphans), [""; 0]);
    let synced = admin.sync_now(&prune()).unwrap();
    assert_eq!(synced.changes, planned.changes);
    assert_eq!(
        told(&synced.changes),
        [
            "pruned provider old: switches",
            "pruned connection old:main: a secret and settings",
            "pruned connection old:second: settings",
            "pruned connection old:file: switches",
        ]
    );
    let house = house.reopened();
    assert!(house.admin.store.connections().list().unwrap().is_empty());
    assert!(house.admin.store.provider_switches().list().unwrap().is_empty());
    assert!(house.admin.store.connection_switches().list().unwrap().is_empty());
    assert!(!house.admin.sync_now(&prune()).unwrap().changed);
}

#[test]
fn a_default_connection_that_is_no_longer_declared_is_none_and_comes_back() {
    let house = House::new();
    let declared = format!("{}[[connections]]\nprovider = \"one\"\nname = \"a\"\n", provider("one", "10.0.0.1"));
    house.write(&declared);
    house.admin.reload();
    let one: ProviderSlug = "one".parse().unwrap();
    let default = PatchProvider { default_connection: Some(Some("a".parse().unwrap())), ..PatchProvider::default() };
    house.admin.change_provider(&one, default).unwrap();
    house.write(&provider("one", "10.0.0.1"));
    house.admin.reload();
    assert_eq!(house.admin.provider(&one).unwrap().default_connection, None);
    house.write(&declared);
    house.admin.reload();
    assert_eq!(house.admin.provider(&one).unwrap().default_connection.unwrap().as_str(), "a");
    house.write(&provider("one", "10.0.0.1"));
    let pruned = house.admin.sync_now(&prune()).unwrap();
    assert!(
        told(&pruned.changes).contains(&"pruned provider one: its default connection one:a, which is not there".into())
    );
    house.write(&declared);
    house.admin.reload();
    assert_eq!(house.admin.provider(&one).unwrap().default_connection, None);
}

#[test]
fn a_provider_goes_with_all_that_is_its_own_once_that_is_meant() {
    let house = house();
    let (admin, old) = (&house.admin, "old".parse::<ProviderSlug>().unwrap());
    let failure = admin.remove_provider(&old, false).unwrap_err();
    assert_eq!(failure.code, Code::Conflict);
    for part in [
        "connection old:main (with its secret)",
        "connection old:second (without a secret)",
        "provider old (its switches)",
    ] {
        assert!(failure.message.contains(part), "{failure}");
    }
    assert!(opens(&house, "old:main", "10.0.0.1"));
    let removed = admin.remove_provider(&old, true).unwrap();
    assert_eq!(removed.removed.len(), 3);
    assert!(removed.declared.unwrap().ends_with("providers.toml:1"), "the file still declares it");
    assert_eq!(admin.provider(&old).unwrap().connections, 0);
    assert_eq!(refused(admin.remove_provider(&"nobody".parse().unwrap(), true)).0, Code::NotFound);
    let house = house.reopened();
    assert!(house.admin.store.connections().list().unwrap().is_empty());
}

#[test]
fn a_change_is_told_with_the_keys_that_differ() {
    let house = house();
    house.write(&(provider("old", "10.0.0.1") + "[providers.old.models.m]\nprice = { input = 1, output = 2 }\n"));
    let reload = house.admin.sync_now(&Sync::default()).unwrap();
    let [change] = &reload.changes[..] else { panic!("{reload:?}") };
    let [key] = &change.keys[..] else { panic!("{change:?}") };
    assert_eq!((key.key.as_str(), key.was.as_deref(), key.line), ("models", None, Some(5)));
    let file = house.dir.path().join("bursar.toml");
    let daemon = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, daemon + "[apps.cron]\nmatch = { user = \"www-data\" }\n").unwrap();
    assert_eq!(told(&house.admin.sync_now(&Sync::default()).unwrap().changes), ["added app cron"]);
}
