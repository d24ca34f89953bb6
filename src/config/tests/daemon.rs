//! `bursar.toml` and what holds without it.

use std::time::Duration;

use super::*;

#[test]
fn a_users_own_daemon_needs_no_file() {
    let daemon = daemon_in("", None, &user()).unwrap();
    assert_eq!(daemon.server.socket.path, Path::new("/home/ada/.local/state/bursar/bursar.sock"));
    assert_eq!(daemon.store_path, Path::new("/home/ada/.local/state/bursar"));
    assert_eq!(daemon.providers_file, Path::new("/home/ada/.config/bursar/providers.toml"));
    assert_eq!(daemon.keys.file.as_deref(), Some(Path::new("/home/ada/.config/bursar/master.key")));
    assert_eq!(daemon.access, Access::default(), "nobody but the daemon's own user");
    assert_eq!(daemon.usage.retention.records, Duration::from_secs(30 * 86_400));
}

#[test]
fn the_xdg_directories_are_followed_where_they_are_whole_paths() {
    let environment = Environment::new(false, |name| {
        Some(match name {
            "HOME" => "/home/ada".into(),
            "XDG_RUNTIME_DIR" => "/run/user/7".into(),
            "XDG_CONFIG_HOME" => "/cfg".into(),
            "XDG_STATE_HOME" => "relative".into(),
            _ => return None,
        })
    });
    let daemon = daemon_in("", None, &environment).unwrap();
    assert_eq!(daemon.server.socket.path, Path::new("/run/user/7/bursar/bursar.sock"));
    assert_eq!(daemon.providers_file, Path::new("/cfg/bursar/providers.toml"));
    assert_eq!(daemon.store_path, Path::new("/home/ada/.local/state/bursar"));
}

#[test]
fn the_systems_daemon_has_the_systems_directories_whoever_it_runs_as() {
    let system = |environment: &Environment, file: Option<&Path>| {
        let daemon = daemon_in("", file, environment).unwrap();
        (daemon.server.socket.path, daemon.store_path, daemon.providers_file)
    };
    let expected = ("/run/bursar/bursar.sock".into(), "/var/lib/bursar".into(), "/etc/bursar/providers.toml".into());
    let nobody = Environment::new(false, |_| None);
    assert_eq!(system(&nobody, Some(Path::new("/etc/bursar/bursar.toml"))), expected);
    assert_eq!(system(&Environment::new(true, |_| None), None), expected);
}

#[test]
fn a_mode_without_quotes_is_told_how_to_write_it() {
    let text = "[server]\nadmin_socket = \"/a.sock\"\nadmin_socket_mode = 0660\n";
    let told = shown(&daemon_in(text, None, &user()).expect_err("no number of TOML's").errors);
    assert!(told[0].starts_with("bursar.toml:3: ") && told[0].contains("such as \"0660\""), "{told:?}");
}

#[test]
fn without_a_home_everything_must_be_said() {
    let told = shown(&daemon_in("", None, &Environment::new(false, |_| None)).expect_err("no home").errors);
    assert_eq!(
        told,
        [
            "bursar.toml:1: [server] socket is missing, and HOME is not set: write the whole path",
            "bursar.toml:1: [store] path is missing, and HOME is not set: write the whole path",
            "bursar.toml:1: [config] providers is missing, and HOME is not set: write the whole path",
        ]
    );
}

#[test]
fn everything_that_can_be_said_is_read() {
    let text = r#"
[server]
socket = "/run/b/b.sock"
socket_mode = "0600"
socket_group = 33
admin_socket = "/run/a/a.sock"
admin_socket_mode = 0o666
admin_socket_group = "wheel"
workers = 3
[store]
path = "/data"
[keys]
credential = "key"
file = "/key"
[config]
providers = "/p.toml"
[access]
admin = { users = ["root", 7, "8"], groups = [] }
client = { groups = ["www data", "DOMAIN\\staff"] }
[apps.translator]
match = { user = "www-data" }
feature = "auto-translation"
[apps.cron]
match = { group = 5 }
[usage]
durability = "each"
retention = { records = "2d", days = "100y" }
"#;
    let daemon = daemon_in(text, None, &user()).unwrap();
    assert_eq!(daemon.server.socket.mode, 0o600);
    assert_eq!(daemon.server.socket.group, Some(Principal::Number(33)));
    assert_eq!(daemon.server.admin_socket.as_ref().unwrap().mode, 0o666);
    assert_eq!(daemon.server.workers, Some(3));
    assert_eq!(daemon.access.admin.users, [Principal::Name("root".into()), Principal::Number(7), Principal::Number(8)]);
    assert_eq!(daemon.apps["translator"].matches, Match::User(Principal::Name("www-data".into())));
    assert_eq!(daemon.apps["translator"].feature.as_ref().unwrap().as_str(), "auto-translation");
    assert_eq!(daemon.usage.durability, Durability::Each);
    assert_eq!(daemon.usage.retention.hours, Retention::default().hours);

    let moved = daemon_in(&text.replace("/data", "/other"), None, &user()).unwrap();
    assert_eq!(daemon.restart_needed(&moved), ["[store]"]);
    let reopened = daemon_in(&text.replace("\"each\"", "\"batched\""), None, &user()).unwrap();
    assert_eq!(daemon.restart_needed(&reopened), [""; 0]);
}

#[test]
fn what_cannot_be_taken_is_told() {
    let text = format!(
        r#"
[server]
socket = "/{}"
socket_mode = "0777"
admin_socket_group = "x"
workers = 99
[keys]
key = "canary"
[access]
admn = {{ users = ["root"] }}
client = {{ users = ["", "a:b", 4294967295] }}
[apps.a]
match = {{ user = "x" }}
[apps.b]
match = {{ user = "x" }}
modles = []
[apps.C]
match = {{ user = "y", group = "z" }}
feature = "Auto"
[usage]
retention = {{ records = "5m" }}
"#,
        "x".repeat(107)
    );
    let told = shown(&daemon_in(&text, None, &user()).expect_err("errors").errors);
    assert_eq!(
        told,
        [
            "bursar.toml:3: server.socket: is longer than 107 bytes: use a shorter path",
            r#"bursar.toml:4: server.socket_mode: write a mode such as "0660": read and write for the owner, and for group and others as you wish"#,
            "bursar.toml:5: server.admin_socket_group: has no meaning without admin_socket",
            "bursar.toml:6: server.workers: write a whole number from 1 to 16",
            r#"bursar.toml:8: keys.key: a secret must not stand here: the master key is named by credential = "name" or file = "/path""#,
            r#"bursar.toml:10: access.admn: unknown key; did you mean "admin"?"#,
            "bursar.toml:11: access.client.users[0]: must not be empty",
            r#"bursar.toml:11: access.client.users[1]: "a:b" is not the name of a user or group"#,
            "bursar.toml:11: access.client.users[2]: write a whole number from 0 to 4294967294",
            "bursar.toml:14: apps.b: matches the same as the app in line 12",
            "bursar.toml:16: apps.b.modles: unknown key; known here: match, feature",
            r#"bursar.toml:17: apps.C: "C" is not a valid name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"#,
            r#"bursar.toml:18: apps.C.match: write either { user = "name" } or { group = "name" }"#,
            r#"bursar.toml:19: apps.C.feature: "Auto" is not a valid name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"#,
            "bursar.toml:21: usage.retention.records: must be from 1h to 100y",
        ]
    );
}
