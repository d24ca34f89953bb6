//! The files' own troubles: what may not be read, and what may not take the place of what was read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::bounds;

fn refused(file: &Path) -> String {
    Source::read(file).expect_err("refused").errors.remove(0).message
}

#[test]
fn only_a_bounded_regular_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    assert!(refused(dir.path()).contains("is a directory, not a file"));
    assert!(refused(Path::new("/dev/zero")).contains("is a device, not a file"));

    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    assert!(refused(&file).contains("is a FIFO, not a file"), "and nobody waited for a writer");

    fs::remove_file(&file).unwrap();
    let size = fs::File::create(&file).unwrap();
    size.set_len(bounds::CONFIG_FILE_BYTES_MAX).unwrap();
    assert!(Source::read(&file).is_ok());
    size.set_len(1 << 30).unwrap();
    assert!(refused(&file).contains("is larger than 1048576 bytes"));
}

#[test]
fn a_file_that_anyone_may_write_is_refused_behind_a_link_too() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("real"), dir.path().join("providers.toml"));
    fs::write(&file, "").unwrap();
    symlink(&file, &link).unwrap();
    assert!(Source::read(&link).is_ok());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
    assert!(refused(&link).contains("may be written by everyone"));
}

#[test]
fn only_roots_files_and_ones_own_are_trusted() {
    let mut stat = rustix::fs::fstat(tempfile::tempfile().unwrap()).unwrap();
    let mut judged = |owner, own| {
        stat.st_uid = owner;
        source::trusted(&stat, own)
    };
    assert!(judged(0, 1_000).is_ok() && judged(1_000, 1_000).is_ok());
    let told = "belongs to user 33, who could send the keys elsewhere: chown it to root or to user 1000";
    assert_eq!(judged(33, 1_000), Err(told.into()));
    let told = "belongs to user 33, who could send the keys elsewhere: chown it to root";
    assert_eq!(judged(33, 0), Err(told.into()), "not even root takes a stranger's word");
}

#[test]
fn what_is_not_utf8_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, b"a = 1\nb = \"\xff\"\n").unwrap();
    let problem = Source::read(&file).expect_err("not UTF-8").errors.remove(0);
    assert_eq!((problem.line, problem.message.as_str()), (Some(2), "is not UTF-8 text: save it as UTF-8"));
}

#[test]
fn a_missing_file_is_the_built_ins_at_start_and_an_error_later() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    let load = |before: Option<&[Source]>| load_catalogue(&file, KINDS, before);
    let missing = load(None).unwrap();
    assert!(missing.value.providers.contains_key("openai"));
    assert!(load(Some(&missing.sources)).is_ok(), "it was not there before either");

    fs::write(&file, " \n").unwrap();
    let empty = load(Some(&missing.sources)).unwrap();
    assert_eq!(empty.sources[0].fingerprint, Fingerprint::Empty, "a file that is about to be written");

    fs::write(&file, "[routes.fast]\ntargets = [\"openai/gpt-4.1\"]\n").unwrap();
    let full = load(Some(&empty.sources)).unwrap();
    let mut told = Vec::new();
    fs::write(&file, "\n").unwrap();
    told.extend(load(Some(&full.sources)).expect_err("emptied").errors);
    fs::remove_file(&file).unwrap();
    told.extend(load(Some(&full.sources)).expect_err("vanished").errors);
    let told: Vec<_> = told.into_iter().map(|problem| problem.message).collect();
    assert_eq!(told, ["the file has become empty; nothing was changed", "the file has vanished; nothing was changed"]);
}

#[test]
fn a_daemons_file_that_was_asked_for_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.toml");
    let load = || load_daemon(Some(&file), &user(), None).map(|loaded| loaded.value);
    assert!(load().expect_err("missing").to_string().ends_with("bursar.toml: there is no such file"));
    fs::write(&file, "").unwrap();
    assert_eq!(load().unwrap().providers_file, dir.path().join("providers.toml"), "beside the file");
    assert!(load_daemon(None, &user(), None).is_ok());
}

#[test]
fn the_systems_file_goes_before_the_users() {
    let dir = tempfile::tempdir().unwrap();
    let (system, own) = (dir.path().join("etc"), dir.path().join("home"));
    let environment = Environment { system_config: system.clone(), config_home: Some(own.clone()), ..user() };
    assert_eq!(environment.daemon_file(None), None);
    for directory in [&own, &system] {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("bursar.toml"), "").unwrap();
        assert_eq!(environment.daemon_file(None), Some(directory.join("bursar.toml")));
    }
    let asked = Path::new("/asked/for.toml");
    assert_eq!(environment.daemon_file(Some(asked)).as_deref(), Some(asked));
}
