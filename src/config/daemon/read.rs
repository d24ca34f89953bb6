//! Reading `bursar.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Access, App, Daemon, Durability, Keys, Match, Members, Principal, Retention, Server, Socket, Usage};
use crate::api::AppName;
use crate::bounds;
use crate::config::budget;
use crate::config::document::Value;
use crate::config::environment::Directories;
use crate::config::secret;
use crate::config::walk::{Cursor, Fields};

/// The name of the master key among systemd's credentials.
const KEY_CREDENTIAL: &str = "bursar-master-key";
/// Bytes of a Unix socket's path: the kernel's structure holds 108 with the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Daemon {
    /// Reads the whole file; what it leaves open lies in `dirs`.
    pub(in crate::config) fn read(root: &Cursor<'_>, dirs: &Directories) -> Option<Self> {
        let fields = root.fields(&["server", "store", "keys", "config", "access", "apps", "usage", "budgets"])?;
        let providers = dirs.config.as_ref().map(|dir| dir.join("providers.toml"));
        let store = table(&fields, "store", &["path"]);
        let config = table(&fields, "config", &["providers"]);
        let server = Server::read(&fields, dirs);
        let store_path = path(&fields, store.as_ref(), "store", "path", dirs.state.clone());
        let providers_file = path(&fields, config.as_ref(), "config", "providers", providers);
        Some(Self {
            keys: Keys::read(&fields, dirs),
            access: fields.get("access").map(|access| Access::read(&access)).unwrap_or_default(),
            apps: read_apps(&fields),
            usage: fields.get("usage").map(|usage| Usage::read(&usage)).unwrap_or_default(),
            budgets: budget::read(&fields),
            // What may be missing comes last, so that everything above has been looked at by then.
            server: server?,
            store_path: store_path?,
            providers_file: providers_file?,
        })
    }
}

fn table<'a>(fields: &Fields<'a>, key: &str, known: &[&str]) -> Option<Fields<'a>> {
    fields.get(key)?.fields(known)
}

/// A path that is written, else its default. A daemon that has no home must be told where everything lies.
fn path(
    root: &Fields<'_>,
    section: Option<&Fields<'_>>,
    name: &str,
    key: &str,
    default: Option<PathBuf>,
) -> Option<PathBuf> {
    match section.and_then(|section| section.get(key)) {
        Some(at) => at.path(),
        None => {
            if default.is_none() {
                root.at().error(format!("[{name}] {key} is missing, and HOME is not set: write the whole path"));
            }
            default
        }
    }
}

impl Server {
    fn read(root: &Fields<'_>, dirs: &Directories) -> Option<Self> {
        const KEYS: &[&str] = &[
            "socket",
            "socket_mode",
            "socket_group",
            "admin_socket",
            "admin_socket_mode",
            "admin_socket_group",
            "workers",
        ];
        let server = table(root, "server", KEYS);
        let default = dirs.run.as_ref().map(|dir| dir.join("bursar.sock"));
        let socket = path(root, server.as_ref(), "server", "socket", default);
        let socket = socket.map(|path| Socket::read(server.as_ref(), "socket", path));
        let admin_socket = server.as_ref().and_then(|server| read_admin_socket(server, socket.as_ref()));
        let workers = server.as_ref().and_then(|server| server.get("workers")?.number(1..=bounds::WORKERS_MAX as u64));
        Some(Self { socket: socket?, admin_socket, workers: workers.and_then(|count| usize::try_from(count).ok()) })
    }
}

fn read_admin_socket(server: &Fields<'_>, socket: Option<&Socket>) -> Option<Socket> {
    let Some(at) = server.get("admin_socket") else {
        for key in ["admin_socket_mode", "admin_socket_group"] {
            if let Some(at) = server.get(key) {
                at.error_at_key("has no meaning without admin_socket");
            }
        }
        return None;
    };
    let admin = Socket::read(Some(server), "admin_socket", at.path()?);
    if socket.is_some_and(|socket| socket.path == admin.path) {
        at.error("must be another path than the apps' socket");
    }
    Some(admin)
}

impl Socket {
    /// Reads what stands beside the path: `…_mode` and `…_group`.
    fn read(server: Option<&Fields<'_>>, key: &str, path: PathBuf) -> Self {
        let field = |key: &str| server.and_then(|server| server.get(key));
        if let Some(at) = field(key)
            && path.as_os_str().len() > SOCKET_PATH_BYTES_MAX
        {
            at.error(format!("is longer than {SOCKET_PATH_BYTES_MAX} bytes: use a shorter path"));
        }
        let mode = field(&format!("{key}_mode")).and_then(|at| read_mode(&at)).unwrap_or(Self::MODE_DEFAULT);
        let group = field(&format!("{key}_group")).and_then(|at| Principal::read(&at));
        Self { path, mode, group }
    }
}

/// A file mode, as octal digits in text or as TOML's `0o660`.
fn read_mode(at: &Cursor<'_>) -> Option<u32> {
    let mode = match at.value() {
        Value::Integer(digits, 8) => u32::from_str_radix(digits, 8).ok(),
        Value::Text(_) => u32::from_str_radix(at.text()?, 8).ok(),
        _ => None,
    };
    let good = mode.filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600);
    if good.is_none() {
        at.error("write a mode such as \"0660\": read and write for the owner, and for group and others as you wish");
    }
    good
}

impl Keys {
    fn read(root: &Fields<'_>, dirs: &Directories) -> Self {
        let keys = table(root, "keys", &["credential", "file"]);
        let field = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let credential = field("credential").and_then(|name| secret::credential_name(&name));
        let file = field("file").and_then(|file| file.path());
        Self {
            credential: credential.unwrap_or_else(|| KEY_CREDENTIAL.to_owned()),
            file: file.or_else(|| dirs.config.as_ref().map(|dir| dir.join("master.key"))),
        }
    }
}

impl Access {
    fn read(at: &Cursor<'_>) -> Self {
        let Some(fields) = at.fields(&["admin", "viewer", "client"]) else { return Self::default() };
        let role = |key: &str| fields.get(key).map(|role| Members::read(&role)).unwrap_or_default();
        Self { admin: role("admin"), viewer: role("viewer"), client: role("client") }
    }
}

impl Members {
    fn read(at: &Cursor<'_>) -> Self {
        let Some(fields) = at.fields(&["users", "groups"]) else { return Self::default() };
        let list = |key: &str| fields.items(key).iter().filter_map(Principal::read).collect();
        Self { users: list("users"), groups: list("groups") }
    }
}

impl Principal {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        if let Value::Integer(..) = at.value() {
            return at.small_number(0..=NUMBER_MAX).map(Self::Number);
        }
        let text = at.some_text()?;
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| *number <= NUMBER_MAX);
            if number.is_none() {
                at.error(format!("{text:?} is not the number of a user or group"));
            }
            return number.map(Self::Number);
        }
        if text.contains(|char: char| char.is_control() || matches!(char, ':' | '/')) {
            at.error(format!("{text:?} is not the name of a user or group"));
            return None;
        }
        Some(Self::Name(text.to_owned()))
    }
}

/// The kernel keeps the number above for "none".
const NUMBER_MAX: u32 = u32::MAX - 1;

fn read_apps(root: &Fields<'_>) -> BTreeMap<AppName, App> {
    let mut matched = BTreeMap::new();
    let one = |(name, at): (&str, Cursor<'_>)| {
        let app_name = at.key_as(name);
        let fields = at.fields(&["match", "feature"])?;
        let feature = fields.get("feature").and_then(|feature| feature.parsed());
        let matches = Match::read(&fields.require("match", "match = { user = \"name\" } or { group = \"name\" }")?)?;
        if let Some(first) = matched.insert(matches.clone(), at.place().clone()) {
            at.error(format!("matches the same as the app in {}", first.from(at.place())));
        }
        let name: AppName = app_name?;
        Some((name.clone(), App { name, matches, feature }))
    };
    root.entries("apps").into_iter().filter_map(one).collect()
}

impl Match {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(&["user", "group"])?;
        match (fields.get("user"), fields.get("group")) {
            (Some(user), None) => Principal::read(&user).map(Self::User),
            (None, Some(group)) => Principal::read(&group).map(Self::Group),
            _ => {
                at.error("write either { user = \"name\" } or { group = \"name\" }");
                None
            }
        }
    }
}

impl Usage {
    fn read(at: &Cursor<'_>) -> Self {
        let Some(fields) = at.fields(&["durability", "retention"]) else { return Self::default() };
        let durability = fields.get("durability").and_then(|word| word.word(Durability::WORDS));
        Self {
            durability: durability.unwrap_or(Durability::Batched),
            retention: fields.get("retention").map(|table| Retention::read(&table)).unwrap_or_default(),
        }
    }
}

impl Retention {
    fn read(at: &Cursor<'_>) -> Self {
        let default = Self::default();
        let Some(fields) = at.fields(&["records", "minutes", "hours", "days", "size"]) else { return default };
        let kept = |key: &str, default: Duration| {
            let range = bounds::RETENTION_MIN..=bounds::RETENTION_MAX;
            fields.get(key).and_then(|at| at.duration(range)).unwrap_or(default)
        };
        Self {
            records: kept("records", default.records),
            minutes: kept("minutes", default.minutes),
            hours: kept("hours", default.hours),
            days: kept("days", default.days),
            size: fields.get("size").and_then(|at| at.bytes(bounds::RETENTION_BYTES_MIN..=u64::MAX)),
        }
    }
}
