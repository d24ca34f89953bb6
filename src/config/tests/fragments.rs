//! A configuration in several files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::bounds;

/// A directory with a `providers.toml` and fragments beside it.
struct Files(tempfile::TempDir);

impl Files {
    fn new(main: &str, fragments: &[(&str, &str)]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        fs::write(files.main(), main).unwrap();
        fs::create_dir(files.fragment("")).unwrap();
        fragments.iter().for_each(|(name, text)| fs::write(files.fragment(name), text).unwrap());
        files
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("providers.toml")
    }

    fn fragment(&self, name: &str) -> PathBuf {
        self.0.path().join("providers.d").join(name)
    }

    fn load(&self, before: Option<&[Source]>) -> Result<Loaded<Catalogue>, Report> {
        load_catalogue(&self.main(), KINDS, before)
    }

    fn errors(&self, before: Option<&[Source]>) -> String {
        let report = self.load(before).expect_err("refused");
        shown(&report.errors).join("\n").replace(&format!("{}/", self.0.path().display()), "")
    }
}

const LAN: &str = "[providers.lan]\nkind = \"openai\"\nbase_url = \"http://10.0.0.7/v1\"\nallow_private = true\n";

fn connection(name: &str) -> String {
    format!("[[connections]]\nprovider = \"lan\"\nname = \"{name}\"\n")
}

#[test]
fn fragments_are_read_in_the_order_of_their_names_as_one_document() {
    let files = Files::new(
        &connection("main"),
        &[("20-b.toml", &connection("b")), ("10-a.toml", &(LAN.to_owned() + &connection("a")))],
    );
    fs::write(files.fragment(".hidden.toml"), "nonsense").unwrap();
    fs::write(files.fragment("backup.toml~"), "nonsense").unwrap();
    let loaded = files.load(None).unwrap();
    let names: Vec<_> = loaded.value.connections.iter().map(|one| one.id.name.to_string()).collect();
    assert_eq!(names, ["main", "a", "b"]);
    assert_eq!(loaded.sources.len(), 3);
    assert!(differ(&loaded.sources, &loaded.sources[..2]));
}

#[test]
fn what_stands_in_two_files_is_refused_with_both_places() {
    let files = Files::new(
        &(LAN.to_owned() + "[defaults]\norder = \"cheapest\"\n" + &connection("main")),
        &[("a.toml", &format!("\n{LAN}[defaults]\norder = \"cheapest\"\n")), ("b.toml", &connection("main"))],
    );
    insta::assert_snapshot!(files.errors(None), @r"
    providers.d/a.toml:2: providers.lan: stands in providers.toml:1 too: write it in one of the two
    providers.d/a.toml:7: defaults.order: stands in providers.toml:6 too: write it in one of the two
    ");
    fs::write(files.fragment("a.toml"), "routes = 3\n").unwrap();
    let told = files.errors(None);
    assert!(told.contains("providers.d/a.toml:1: routes: write a table"), "{told}");
    let twice = "providers.d/b.toml:1: connections[1]: lan:main is declared twice, first in providers.toml:7";
    assert!(told.contains(twice), "{told}");
}

#[test]
fn a_fragment_goes_by_being_deleted_and_not_by_being_emptied() {
    let files = Files::new("", &[("a.toml", LAN), ("b.toml", "[routes.fast]\ntargets = [\"openai/gpt-4.1\"]\n")]);
    let before = files.load(None).unwrap().sources;
    fs::remove_file(files.fragment("b.toml")).unwrap();
    let loaded = files.load(Some(&before)).unwrap();
    assert!(loaded.value.routes.is_empty());
    fs::write(files.fragment("a.toml"), "").unwrap();
    let told = "providers.d/a.toml: the file has become empty; nothing was changed";
    assert_eq!(files.errors(Some(&before)), told);
    fs::remove_dir_all(files.fragment("")).unwrap();
    let told = "providers.d/a.toml: the file has vanished; nothing was changed";
    assert_eq!(files.errors(Some(&loaded.sources)), told);
}

#[test]
fn every_fragment_must_be_trusted_and_all_that_cannot_be_are_told() {
    let files = Files::new("", &[("a.toml", LAN), ("b.toml", "x = \n"), ("ok.toml", "")]);
    fs::set_permissions(files.fragment("a.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, files.fragment("c.toml"), rustix::fs::Mode::RUSR).unwrap();
    fs::create_dir(files.fragment("d.toml")).unwrap();
    symlink("/dev/zero", files.fragment("e.toml")).unwrap();
    fs::File::create(files.fragment("f.toml")).unwrap().set_len(1 << 30).unwrap();
    insta::assert_snapshot!(files.errors(None), @r"
    providers.d/a.toml: may be written by everyone, who could send the keys elsewhere: chmod o-w it
    providers.d/c.toml: is a FIFO, not a file
    providers.d/d.toml: is a directory, not a file
    providers.d/e.toml: is a device, not a file
    providers.d/f.toml: is larger than 1048576 bytes
    ");
    fs::set_permissions(files.fragment(""), fs::Permissions::from_mode(0o777)).unwrap();
    let told = "providers.d: may be written by everyone, who could send the keys elsewhere: chmod o-w it";
    assert_eq!(files.errors(None), told);
    fs::remove_dir_all(files.fragment("")).unwrap();
    fs::write(files.0.path().join("providers.d"), "").unwrap();
    assert!(files.errors(None).starts_with("providers.d: is not a directory"));
}

#[test]
fn fragments_are_bounded_in_number_and_in_size() {
    let files = Files::new("", &[]);
    for n in 0..=bounds::CONFIG_FRAGMENTS_MAX {
        fs::write(files.fragment(&format!("{n}.toml")), "").unwrap();
    }
    assert_eq!(files.errors(None), "providers.d: holds more than 1000 fragments");
    fs::remove_dir_all(files.fragment("")).unwrap();
    fs::create_dir(files.fragment("")).unwrap();
    for n in 0..17 {
        fs::write(files.fragment(&format!("{n}.toml")), "#".repeat(1 << 20)).unwrap();
    }
    assert_eq!(files.errors(None), "providers.toml: has, with its fragments, more than 16777216 bytes");
}

#[test]
fn a_change_is_checked_together_with_the_files_beside_it() {
    let route = "[routes.fast]\ntargets = [\"lan/m\"]\n";
    let lan = format!("{LAN}[providers.lan.models.m]\n");
    let files = Files::new(route, &[("10-lan.toml", &lan)]);
    let check = |file: PathBuf, text: &str| {
        let checked = check_change(&files.main(), &Source::from_text(file.as_path(), text.into()), KINDS);
        checked.map(|loaded| loaded.sources.len()).map_err(|report| shown(&report.errors).join("\n"))
    };
    assert_eq!(check(files.fragment("20-new.toml"), "[routes.slow]\ntargets = [\"lan/m\"]\n"), Ok(3));
    assert_eq!(check(files.main(), "[routes.quick]\ntargets = [\"lan/m\"]\n"), Ok(2));
    let taken = check(files.fragment("20-new.toml"), route).unwrap_err();
    assert!(taken.contains("routes.fast: stands in"), "{taken}");
    let lost = check(files.fragment("10-lan.toml"), "# nothing\n").unwrap_err();
    assert!(lost.contains("there is no provider \"lan\""), "{lost}");
    // A name that leads to one of the files is that file; any other file is read by nobody.
    let link = files.0.path().join("link.toml");
    symlink("providers.toml", &link).unwrap();
    assert_eq!(check(link, "[routes.quick]\ntargets = [\"lan/m\"]\n"), Ok(2));
    assert_eq!(check(files.0.path().join("other.toml"), LAN), Ok(1));
    assert!(check(files.fragment("notes.txt"), route).is_err());
}
