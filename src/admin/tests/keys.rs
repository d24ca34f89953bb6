//! The keys of the store, while they are changed.

use std::os::unix::fs::OpenOptionsExt;

use super::*;
use crate::api::admin::RotateKeys;

/// Writes a key that only its owner may read, and makes the directories on the way to it.
fn write_key(path: &Path, key: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, key).unwrap();
}

#[test]
fn keys_are_changed_by_one_call_after_the_other_and_each_seals_everything_anew() {
    let house = House::new();
    for n in 0..3 {
        house.add(&format!("openai:c{n}"), Some("sk-canary-canary-9876"));
    }
    let file = house.admin.daemon().keys.file.unwrap();
    write_key(&file, b"0123456789abcdef0123456789abcdef");
    write_key(&file.with_extension("key.next"), b"fedcba9876543210fedcba9876543210");
    let resealed = std::thread::scope(|scope| {
        let rotate = |keep_master| {
            let admin = &house.admin;
            scope.spawn(move || admin.rotate_keys(RotateKeys { data_keys: true, keep_master }).unwrap())
        };
        let all = [true, false, true, false, true, false].map(rotate);
        all.map(|one| one.join().unwrap().resealed)
    });
    assert_eq!(resealed, [Some(3); 6]);
    let snapshot = house.admin.engine.snapshot.load();
    for n in 0..3 {
        let one = &snapshot.connections[&id(&format!("openai:c{n}"))];
        let secret = one.secret.as_ref().unwrap();
        let opened = house.admin.engine.vault.open(&one.id, &secret.origin, secret).unwrap();
        assert_eq!(opened.expose(), b"sk-canary-canary-9876");
    }
}
