//! The store as operators look after it, with the program's own commands, at a real daemon that serves meanwhile.

use bursar::api::ConnectionId;
use bursar::api::admin::{KeyInfo, KeysRotated, Limits, StoreInfo, StoreVerified};
use bursar::credential::{MasterKey, Secret};
use bursar::store::{Store, StoredConnection};
use serde_json::Value;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Place, Setup, key_of};
use crate::operators::run;

const PASSPHRASE: &str = "correct horse battery staple\n";

/// A daemon with two stored connections, each asked once.
async fn filled() -> (FakeProvider, Bursar) {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    for name in ["main", "second"] {
        let said =
            run(bursar.place(), &format!("credentials set one --name {name}"), &key_of(&format!("one:{name}"))).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    (fake, bursar)
}

#[tokio::test]
async fn a_backup_that_is_made_under_load_is_restored_on_a_clean_host() {
    let (fake, bursar) = filled().await;
    let file = bursar.place().path().join("safe.backup");
    let command = format!("store backup {}", file.display());
    let (said, served) = tokio::join!(run(bursar.place(), &command, PASSPHRASE), async {
        let mut served = 0;
        for _ in 0..20 {
            served += u32::from(bursar.call(Call::chat("one/m")).await.status == 200);
        }
        served
    });
    assert_eq!((said.code, served), (0, 20), "{said:?}");
    assert!(said.out.contains("2 credentials"), "{said:?}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(bursar.place(), &command, PASSPHRASE).await;
    assert_eq!(again.code, 65, "{again:?}");
    assert!(again.err.contains("is there already, and is kept"), "{again:?}");
    let restore = format!("store restore {}", file.display());
    let busy = run(bursar.place(), &restore, PASSPHRASE).await;
    assert_eq!(busy.code, 75, "{busy:?}");
    assert!(busy.err.contains("stop the daemon first"), "{busy:?}");

    let other = Setup::new().provider("one", &fake.url()).start().await;
    let remains = other.stop().await;
    std::fs::remove_dir_all(remains.place.store()).unwrap();
    let wrong = run(&remains.place, &restore, "another passphrase\n").await;
    assert_eq!(wrong.code, 65, "{wrong:?}");
    assert!(wrong.err.contains("the passphrase is another one"), "{wrong:?}");
    assert!(!remains.place.store().join("state").exists(), "nothing was made");
    let dry: Value = run(&remains.place, &format!("{restore} --dry-run --format json"), PASSPHRASE).await.object();
    assert_eq!(dry["credentials"], 2);
    let said = run(&remains.place, &restore, PASSPHRASE).await;
    assert_eq!(said.code, 0, "{said:?}");
    let restored = remains.restart().await;
    assert_eq!(restored.call(Call::chat("one/m")).await.status, 200);
    let key = fake.seen().last().unwrap().key().map(str::to_owned);
    assert!(key == Some(key_of("one:main")) || key == Some(key_of("one:second")), "{key:?}");
    let verified: StoreVerified = run(restored.place(), "store verify --format json", "").await.object();
    assert!(verified.ok && verified.credentials == 2 && verified.usage_records > 0, "{verified:?}");
    restored.stop().await;
    bursar.stop().await;
}

#[tokio::test]
async fn keys_are_rotated_while_calls_go_on_and_the_old_one_is_needed_no_more() {
    let (_fake, bursar) = filled().await;
    let before: KeyInfo = run(bursar.place(), "keys status --format json", "").await.object();
    assert_eq!(before.data_keys[0].credentials, Some(2));
    let key = bursar.place().key_file();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let exposed = run(bursar.place(), "keys rotate", "").await;
    assert!(exposed.code == 78 && exposed.err.contains("chmod 600"), "{exposed:?}");
    assert!(!key.with_extension("key.next").exists(), "nothing is left behind");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (said, served) = tokio::join!(run(bursar.place(), "keys rotate --data-keys --format json", ""), async {
        let mut served = 0;
        for _ in 0..20 {
            served += u32::from(bursar.call(Call::chat("one/m")).await.status == 200);
        }
        served
    });
    let rotated: KeysRotated = said.object();
    assert_eq!(served, 20);
    assert_eq!(rotated.master_before.as_deref(), Some(before.master.as_str()));
    assert_eq!(rotated.resealed, Some(2));
    let after: KeyInfo = run(bursar.place(), "keys status --format json", "").await.object();
    assert_ne!(after.master, before.master);
    assert_ne!(after.data_keys[0].id, before.data_keys[0].id);
    assert_eq!((after.data_keys[0].credentials, after.resealing, after.data_keys.len()), (Some(2), false, 3));
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    let remains = bursar.stop().await;
    let offline: KeyInfo = run(&remains.place, "keys status --format json", "").await.object();
    assert_eq!(offline, after, "the same is told where no daemon runs");
    std::fs::remove_file(remains.place.key_file().with_extension("key.old")).unwrap();
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "the old key is gone, and all opens");
    bursar.stop().await;
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_gone_on_with() {
    let (_fake, bursar) = filled().await;
    let before: KeyInfo = run(bursar.place(), "keys status --format json", "").await.object();
    // As far as a command came that was killed: the next key is there, and the daemon has taken it over.
    let next = bursar.place().key_file().with_extension("key.next");
    let said = run(bursar.place(), &format!("keys init --force --file {}", next.display()), "").await;
    assert_eq!(said.code, 78, "never over a store: {said:?}");
    let key = MasterKey::generate().unwrap();
    bursar.place().save(&next, &key.to_text());
    std::fs::set_permissions(&next, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let rotate = Call::new(http::Method::POST, "/admin/v1/keys/rotate").body("{}").header("x-bursar-request", "1");
    let reply = bursar.call(rotate).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let bursar = bursar.kill().await.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "whichever key opens it is taken");
    let rotated: KeysRotated = run(bursar.place(), "keys rotate --format json", "").await.object();
    assert_eq!(rotated.master_before, None, "it was in force already");
    assert_ne!(rotated.keys.master, before.master);
    assert!(!next.exists());
    let bursar = bursar.stop().await.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    bursar.stop().await;
}

/// Puts many connections into the store of a place where no daemon runs as yet.
fn put_many(place: &Place, provider: &str, url: &str, count: usize) {
    let key = MasterKey::parse(&std::fs::read(place.key_file()).unwrap()).unwrap();
    let store = Store::open(&place.store(), &key).unwrap();
    let mut changes = store.changes();
    for n in 0..count {
        let id: ConnectionId = format!("{provider}:c{n}").parse().unwrap();
        let secret = Secret::new(key_of(&id.to_string()).into_bytes()).unwrap();
        let secret = Some(store.seal(&id, &url.parse().unwrap(), &secret).unwrap());
        let connection = StoredConnection {
            id,
            secret,
            enabled: true,
            priority: 1,
            weight: 1,
            limits: Limits::default(),
            limit_group: None,
            settings: "{}".into(),
            ui_metadata: "{}".into(),
            created_ms: 0,
            updated_ms: 0,
            expires_ms: None,
        };
        changes.put_connection(&connection).unwrap();
    }
    changes.commit().unwrap();
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_any_more_is_brought_to_its_end_before_the_daemon_ends() {
    let fake = FakeProvider::start().await;
    let place = Setup::new().provider("one", &fake.url()).place();
    put_many(&place, "one", &fake.url(), 1_500);
    let bursar = Bursar::start(place).await;
    let asked = r#"{"data_keys":true,"keep_master":true}"#;
    let rotate = Call::new(http::Method::POST, "/admin/v1/keys/rotate").body(asked).header("x-bursar-request", "1");
    let begun = async {
        loop {
            let keys = bursar.call(Call::get("/admin/v1/keys")).await.json();
            if keys["resealing"] == true {
                break;
            }
        }
    };
    tokio::select! {
        biased;
        () = begun => {}
        // Too fast to be cut off.
        reply = bursar.call(rotate) => assert_eq!(reply.status, 200, "{}", reply.text()),
    }
    let remains = bursar.stop().await;
    let keys = remains.store().key_status().unwrap();
    assert!(!keys.resealing && keys.credentials.len() == 1, "{keys:?}");
}

#[tokio::test]
async fn a_damaged_state_is_healed_and_said_and_one_that_cannot_be_is_refused_with_the_command() {
    let (_fake, bursar) = filled().await;
    let status: StoreInfo = run(bursar.place(), "store status --format json", "").await.object();
    assert_eq!((status.format, status.format_known), (Some(2), 2));
    assert!(status.generation > Some(1) && status.warnings.is_empty(), "{status:?}");
    let remains = bursar.stop().await;
    let database = remains.place.store().join("state/db");
    std::fs::write(&database, vec![0; 8_192]).unwrap();
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    let status: StoreInfo = run(bursar.place(), "store status --format json", "").await.object();
    assert!(status.warnings.iter().any(|warning| warning.contains("made anew from the log of changes")), "{status:?}");
    assert!(status.parts.iter().any(|part| part.name.starts_with("state.damaged-")), "{status:?}");
    let remains = bursar.stop().await;
    std::fs::write(&database, vec![0; 8_192]).unwrap();
    std::fs::write(remains.place.store().join("changes"), b"nothing").unwrap();
    let failed = Bursar::fail(remains.place).await;
    assert_eq!(failed.ended, crate::harness::Ended::Code(78));
    assert!(failed.log.contains("bursar store restore"), "{}", failed.log);
}

#[tokio::test]
async fn the_way_back_to_an_older_format_and_forth_again_loses_nothing() {
    let (_fake, bursar) = filled().await;
    let busy = run(bursar.place(), "store migrate --to 1", "").await;
    assert_eq!(busy.code, 75, "{busy:?}");
    let remains = bursar.stop().await;
    let said = run(&remains.place, "store migrate --to 1", "").await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("from format 2 to format 1"), "{said:?}");
    let status = run(&remains.place, "store status", "").await;
    assert!(status.out.contains("1; this version knows formats up to 2"), "{status:?}");
    for command in ["store verify", "keys status", "store backup x.backup"] {
        let said = run(&remains.place, command, PASSPHRASE).await;
        assert!(said.code == 78 && said.err.contains("`bursar store migrate` does that"), "{command}: {said:?}");
    }
    let status = run(&remains.place, "store status", "").await;
    assert!(status.out.contains("1; this version knows formats up to 2"), "looking changes nothing: {status:?}");
    assert_eq!(run(&remains.place, "store migrate --to 3", "").await.code, 2);
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    let remains = bursar.stop().await;
    let marker = remains.place.store().join("initialized");
    assert!(std::fs::read_to_string(&marker).unwrap().starts_with("bursar state, format 2\n"));
    std::fs::write(&marker, "bursar state, format 7\nwritten by bursar 9.1.0\n").unwrap();
    let failed = Bursar::fail(remains.place).await;
    assert_eq!(failed.ended, crate::harness::Ended::Code(78));
    assert!(failed.log.contains("bursar 9.1.0 wrote"), "{}", failed.log);
}
