//! What can be seen without the daemon: files, modes, groups, the disk, the clock.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::Finding;
use crate::adapter;
use crate::admin::keys;
use crate::bounds;
use crate::cli::check;
use crate::config::{self, Catalogue, Daemon, Principal, Problem, Report, SecretRef, Server, Socket, Source};
use crate::store::Store;
use crate::upstream;

/// Errors of a configuration, each with its place.
pub(super) fn errors(report: &Report) -> Vec<Finding> {
    let finding = |problem: &Problem| {
        let advice = "mend the file: a running daemon keeps what it had, and none starts with it";
        Finding::fail("configuration", problem.to_string(), advice)
    };
    report.errors.iter().map(finding).collect()
}

/// What is odd about a configuration.
pub(super) fn warnings(warnings: &[Problem]) -> Vec<Finding> {
    let finding = |problem: &Problem| Finding::warn("configuration", problem.to_string(), "see whether that is meant");
    warnings.iter().map(finding).collect()
}

/// Which files say what may be called.
pub(super) fn providers_file(daemon: &Daemon, sources: &[Source]) -> Finding {
    let file = daemon.providers_file.display();
    let missing = sources.first().is_none_or(|source| source.fingerprint == config::Fingerprint::Missing);
    let there = if missing { format!("{file} is not there: the built-in providers alone") } else { file.to_string() };
    match sources.len().saturating_sub(1) {
        0 => Finding::good("configuration", there),
        1 => Finding::good("configuration", format!("{there}, and 1 fragment")),
        count => Finding::good("configuration", format!("{there}, and {count} fragments")),
    }
}

/// The key that seals everything.
pub(super) fn master_key(daemon: &Daemon) -> Finding {
    const CHECK: &str = "master key";
    match keys::load_all_of(&daemon.keys, keys::daemon_uid(&daemon.store_path)) {
        Ok(masters) => match Store::sealed_under(&daemon.store_path) {
            Some(wanted) if masters.iter().all(|one| one.id() != wanted) => {
                let given = masters.first().map(|one| one.id().to_string()).unwrap_or_default();
                Finding::fail(
                    CHECK,
                    format!("the store was sealed under the key {wanted}, and the one given is {given}"),
                    "put the right one in its place: with another one the daemon does not start",
                )
            }
            Some(_) => Finding::good(CHECK, "can be read, and opens the store"),
            None => Finding::good(CHECK, "can be read"),
        },
        Err(error) => {
            let name = &daemon.keys.credential;
            let stored = ["/etc/credstore.encrypted", "/run/credstore.encrypted", "/etc/credstore", "/run/credstore"];
            let given = stored.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
            match given.filter(|_| !name.is_empty()) {
                Some(path) => Finding::good(CHECK, format!("systemd gives it to the daemon, from {}", path.display())),
                None if error.is_denied() => Finding::warn(
                    CHECK,
                    error.to_string(),
                    "run this as the daemon's user, or with sudo, to look at it",
                ),
                None => Finding::fail(CHECK, error.to_string(), "without its key the daemon does not start"),
            }
        }
    }
}

/// The state directory.
pub(super) fn store(path: &Path) -> Vec<Finding> {
    const CHECK: &str = "store";
    let shown = path.display();
    let Ok(meta) = std::fs::metadata(path) else {
        return vec![Finding::good(
            CHECK,
            format!("{shown} is not there, or may not be looked at: a first start makes it"),
        )];
    };
    let mut findings = Vec::new();
    if meta.mode() & 0o077 != 0 {
        let detail = format!("{shown} can be entered by others (mode {:03o})", meta.mode() & 0o777);
        findings.push(Finding::fail(CHECK, detail, format!("chmod 700 {shown}")));
    }
    let made = |name: &str| path.join(name).exists();
    if made("initialized") && !made("state") {
        let advice = "restore a backup with `bursar store restore`, or move the directory away to begin anew";
        findings.push(Finding::fail(CHECK, format!("state was made in {shown}, and it is gone"), advice));
    }
    if let Some((format, writer)) = Store::newer_format(path) {
        let detail = format!("{shown} has format {format}, which {writer} wrote");
        let known = Store::FORMAT;
        let advice = format!("use that version, or take the store back with its `bursar store migrate --to {known}`");
        findings.push(Finding::fail(CHECK, detail, advice));
    }
    if let Some(format) = Store::format(path).filter(|format| *format < Store::FORMAT) {
        let detail = format!("{shown} has format {format}");
        let advice = format!("the next start brings it to format {}, after a backup into it", Store::FORMAT);
        findings.push(Finding::warn(CHECK, detail, advice));
    }
    if findings.is_empty() {
        findings.push(Finding::good(CHECK, shown.to_string()));
    }
    findings
}

/// Room for what is to be stored.
pub(super) fn disk(path: &Path) -> Finding {
    const CHECK: &str = "disk";
    let there = path.ancestors().find(|one| one.exists()).unwrap_or(path);
    let Ok(stat) = rustix::fs::statvfs(there) else {
        return Finding::warn(CHECK, format!("{} cannot be measured", there.display()), "look at it with df");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB are free under {}", free >> 20, there.display());
    let advice = "make room, or keep usage for a shorter time ([usage] retention)";
    if free < bounds::DISK_FREE_BYTES_MIN {
        Finding::fail(CHECK, detail, advice)
    } else if free < bounds::DISK_FREE_BYTES_WANTED {
        Finding::warn(CHECK, detail, advice)
    } else {
        Finding::good(CHECK, detail)
    }
}

/// The sockets, as they lie there.
pub(super) fn sockets(server: &Server) -> Vec<Finding> {
    let mut all = vec![socket("socket", &server.socket)];
    all.extend(server.admin_socket.as_ref().map(|admin| socket("admin socket", admin)));
    all
}

fn socket(check: &'static str, socket: &Socket) -> Finding {
    let path = socket.path.display();
    let Ok(meta) = std::fs::symlink_metadata(&socket.path) else {
        let advice = "start the daemon: `systemctl start bursar.socket bursar.service`, or `bursar serve`";
        return Finding::warn(check, format!("{path} is not there"), advice);
    };
    if !meta.file_type().is_socket() {
        return Finding::fail(
            check,
            format!("{path} is no socket"),
            "take it away: the daemon makes a socket of that name",
        );
    }
    let (mode, wanted) = (meta.mode() & 0o777, socket.mode);
    let group = |gid: u32| nix::unistd::Group::from_gid(gid.into()).ok().flatten().map(|group| group.name);
    let there = group(meta.gid()).unwrap_or_else(|| meta.gid().to_string());
    let belongs = match &socket.group {
        None => true,
        Some(Principal::Number(gid)) => *gid == meta.gid(),
        Some(Principal::Name(name)) => *name == there,
    };
    let detail = format!("{path}, mode {mode:03o}, group {there}");
    if mode != wanted || !belongs {
        let group = socket.group.as_ref().map(|group| format!(" and group {group}")).unwrap_or_default();
        let advice = format!(
            "the configuration says mode {wanted:03o}{group}: start the daemon again, or mend the .socket unit"
        );
        return Finding::warn(check, detail, advice);
    }
    Finding::good(check, detail)
}

/// Whether the users and groups that the configuration names are there.
pub(super) fn groups(daemon: &Daemon) -> Vec<Finding> {
    const CHECK: &str = "groups";
    let unknown = check::unknown_names(daemon);
    if unknown.is_empty() {
        return vec![Finding::good(CHECK, "every user and group that is named is there")];
    }
    let advice = "make it (systemd-sysusers, groupadd), or take it out of bursar.toml";
    unknown.into_iter().map(|one| Finding::warn(CHECK, one, advice)).collect()
}

/// Whom TLS trusts.
pub(super) fn roots(catalogue: Option<&Catalogue>) -> Vec<Finding> {
    const CHECK: &str = "TLS roots";
    let advice = "install ca-certificates, or mend the provider's ca_file";
    let finding = |what: String, file: Option<&Path>| match upstream::check_roots(file) {
        Ok(()) => Finding::good(CHECK, what),
        Err(error) => Finding::fail(CHECK, format!("{what}: {error}"), advice),
    };
    let own = catalogue.into_iter().flat_map(|catalogue| catalogue.providers.values());
    let own = own.filter_map(|provider| Some((provider, provider.ca_file.as_deref()?)));
    let own = own.map(|(provider, file)| finding(format!("of {}, {}", provider.slug, file.display()), Some(file)));
    std::iter::once(finding("the system's".into(), None)).chain(own).collect()
}

/// The first moment of the year in which this was made: no clock that is right shows an earlier one.
const CLOCK_MS_MIN: i64 = 1_767_225_600_000;
/// How far files may lie in the future before a clock is in doubt, in milliseconds.
const CLOCK_SLACK_MS: i64 = 5 * 60 * 1_000;

/// Whether the clock can be believed: days of quotas, costs and retention hang on it.
pub(super) fn clock(store: &Path, now_ms: i64) -> Vec<Finding> {
    const CHECK: &str = "clock";
    let advice = "set it, and keep it right with systemd-timesyncd or chrony";
    let manifest = std::fs::metadata(store.join("manifest")).and_then(|meta| meta.modified()).ok();
    let written = manifest.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let written_ms = written.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default();
    let finding = if now_ms < CLOCK_MS_MIN {
        Finding::fail(CHECK, "shows a time before this version was made", advice)
    } else if written_ms > now_ms.saturating_add(CLOCK_SLACK_MS) {
        Finding::warn(CHECK, "the store was written at a time that is still to come: the clock was set back", advice)
    } else if synchronised() == Some(false) {
        Finding::warn(CHECK, "systemd-timesyncd runs, and has not reached a time server yet", advice)
    } else {
        Finding::good(CHECK, crate::api::Moment(now_ms).to_string())
    };
    vec![finding]
}

/// Whether systemd's own client of time servers has set the clock; none where it does not run.
fn synchronised() -> Option<bool> {
    let dir = Path::new("/run/systemd/timesync");
    dir.is_dir().then(|| dir.join("synchronized").exists())
}

/// The files with secrets that the configuration refers to. Their content is not read.
pub(super) fn secrets(catalogue: &Catalogue) -> Vec<Finding> {
    const CHECK: &str = "secrets";
    let files = catalogue.connections.iter().filter_map(|one| match &one.secret {
        Some(SecretRef::File(path)) => Some((&one.id, path)),
        _ => None,
    });
    let finding = |(id, path): (&crate::api::ConnectionId, &std::path::PathBuf)| {
        let shown = path.display();
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
            Err(error) => {
                let advice = format!("put the key of {id} there, or name another place in the file");
                Some(Finding::fail(CHECK, format!("{shown}: {error}"), advice))
            }
            Ok(meta) if meta.mode() & 0o004 != 0 => {
                let detail = format!("{shown} can be read by everybody (mode {:03o})", meta.mode() & 0o777);
                Some(Finding::warn(CHECK, detail, format!("chmod o-rwx {shown}")))
            }
            Ok(_) => None,
        }
    };
    let found: Vec<_> = files.filter_map(finding).collect();
    if found.is_empty() { vec![Finding::good(CHECK, "no file with a secret is open to everybody")] } else { found }
}

/// A provider that only plays must not be left on where apps take its answers for real.
pub(super) fn sandbox(catalogue: &Catalogue) -> Option<Finding> {
    let plays = |kind: &str| adapter::for_kind(kind).is_some_and(|adapter| adapter.facts().in_process);
    let on = catalogue.providers.values().find(|provider| provider.enabled && plays(&provider.kind))?;
    let advice = format!("where that is not meant, write [providers.{}] with enabled = false", on.slug);
    Some(Finding::warn("sandbox", format!("{} is enabled: it makes its answers up", on.slug), advice))
}
