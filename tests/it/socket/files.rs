//! Whose the socket is, and who is let in.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::started;
use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Ended, Setup};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_has_its_mode_and_group_and_goes_with_the_daemon() {
    let group = 4_711;
    let root = rustix::process::geteuid().is_root();
    let mut setup = Setup::new().server("admin_socket = \"DIR/admin.sock\"\nadmin_socket_mode = \"0600\"");
    if root {
        setup = setup.server(&format!("socket_group = {group}"));
    }
    let bursar = setup.start().await;
    let (socket, admin) = (bursar.place().socket(), bursar.place().admin_socket());
    assert_eq!((mode(&socket), mode(&admin)), (0o660, 0o600));
    if root {
        assert_eq!(std::fs::metadata(&socket).unwrap().gid(), group);
    }
    for file in ["b.sock.new", "admin.sock.new"] {
        assert!(!bursar.place().path().join(file).exists(), "{file}");
    }
    let remains = bursar.stop().await;
    assert!(!socket.exists() && !admin.exists());
    let store = remains.place.store();
    assert_eq!(mode(&store), 0o700, "what is the daemon's alone is closed to others");
}

/// Whoever looks, at whatever moment: where the socket is, nobody may connect before the mode and the group are right.
#[tokio::test]
async fn nobody_can_connect_before_the_mode_is_right() {
    let place = Setup::new().place();
    let directory = place.path().to_owned();
    let watching = std::thread::spawn(move || {
        let (mut seen, mut rights) = (false, Vec::new());
        while !seen {
            for name in ["b.sock", "b.sock.new"] {
                let path = directory.join(name);
                let Ok(file) = std::fs::symlink_metadata(&path) else { continue };
                if file.file_type().is_socket() {
                    rights.push((name, file.permissions().mode() & 0o777));
                    seen |= name == "b.sock";
                }
            }
        }
        rights
    });
    let bursar = Bursar::start(place).await;
    let rights = watching.join().unwrap();
    for (name, mode) in rights {
        let good = mode == 0o660 || (name == "b.sock.new" && mode & 0o077 == 0);
        assert!(good, "{name} had mode {mode:o}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced() {
    let (_fake, bursar) = started().await;
    let remains = bursar.kill().await;
    let stale = remains.place.socket();
    assert!(stale.exists(), "a killed daemon leaves its socket");
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::get("/healthz")).await.status, 200);
    bursar.stop().await;
}

#[tokio::test]
async fn what_belongs_to_others_is_left_untouched() {
    // A program that answers.
    let place = Setup::new().place();
    let live = UnixListener::bind(place.socket()).unwrap();
    let before = std::fs::metadata(place.socket()).unwrap().ino();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert!(remains.log.contains("already answers"), "{}", remains.log);
    assert_eq!(std::fs::metadata(remains.place.socket()).unwrap().ino(), before);
    drop(live);

    // A file, and a link to one.
    let place = Setup::new().place();
    std::fs::write(place.socket(), "mine").unwrap();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert_eq!(std::fs::read(remains.place.socket()).unwrap(), b"mine");

    let place = Setup::new().place();
    let target = place.path().join("elsewhere");
    std::fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, place.socket()).unwrap();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    assert!(std::fs::symlink_metadata(remains.place.socket()).unwrap().file_type().is_symlink());
}

#[tokio::test]
async fn a_second_daemon_on_a_store_says_who_has_it() {
    let (_fake, bursar) = started().await;
    let second = Setup::new().place();
    let text = std::fs::read_to_string(second.daemon_file()).unwrap();
    let (theirs, ours) = (second.path().display().to_string(), bursar.place().path().display().to_string());
    let text = text.replace(&format!("{theirs}/store"), &format!("{ours}/store"));
    let text = text.replace(&format!("{theirs}/master.key"), &format!("{ours}/master.key"));
    second.save(&second.daemon_file(), &text);
    let remains = Bursar::fail(second).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert!(remains.log.contains(&format!("process {}", bursar.pid())), "{}", remains.log);
    assert!(!remains.place.socket().exists());
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "the first one does not mind");
    bursar.stop().await;
}

/// The apps' socket knows no operator, whoever calls.
#[tokio::test]
async fn the_apps_socket_refuses_operators_where_they_have_their_own() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let setup = Setup::new().server("admin_socket = \"DIR/admin.sock\"").ranked("one", &fake.url(), &["a"]);
    let bursar = setup.start().await;
    for route in bursar::server::routes::ROUTES.iter().filter(|route| route.path.starts_with("/admin/")) {
        let path = route.path.replace("{slug}", "one").replace("{id}", "one:a");
        for path in [path.clone(), format!("{path}?x=1")] {
            let call = Call::new(route.method.clone(), &path).header("x-bursar-request", "1").body("{}");
            let reply = bursar.call(call).await;
            let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((reply.status, code.as_str()), (403, "not_permitted"), "{} {path}", route.method);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        }
    }
    let status = bursar.admin_link().await.call(Call::get("/admin/v1/status")).await;
    assert_eq!(status.status, 200);
    // Odd spellings of a path lead nowhere else.
    for path in
        ["//admin/v1/status", "/admin//v1/status", "/v1/../admin/v1/status", "/%61dmin/v1/status", "/ADMIN/v1/status"]
    {
        let reply = bursar.call(Call::get(path)).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    bursar.stop().await;
}

/// Other users: none that is named nowhere may do anything, and each is told its number.
#[tokio::test]
async fn a_user_without_a_role_is_told_who_it_is() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_fake, bursar) = started().await;
    let socket = bursar.place().socket();
    std::fs::set_permissions(bursar.place().path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for (path, status) in [("/healthz", "200"), ("/v1/models", "403"), ("/admin/v1/status", "403")] {
        let output = tokio::task::spawn_blocking({
            let socket = socket.clone();
            move || as_user(54_321, &socket, path)
        });
        let Some(said) = output.await.unwrap() else { return };
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {said}");
        if status == "403" {
            assert!(said.contains("unknown_app") && said.contains("54321"), "{path}: {said}");
        }
    }
    bursar.stop().await;
}

/// What another user is answered; none where the tools for that are not there.
fn as_user(uid: u32, socket: &Path, path: &str) -> Option<String> {
    use std::os::unix::process::CommandExt as _;
    let output = std::process::Command::new("curl")
        .args(["-s", "-i", "--max-time", "20", "--unix-socket"])
        .arg(socket)
        .arg(format!("http://x{path}"))
        .uid(uid)
        .gid(uid)
        .output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}
