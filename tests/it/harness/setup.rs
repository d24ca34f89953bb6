//! What a daemon finds when it starts: its files, its keys, its directory.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bursar::credential::MasterKey;
use tempfile::TempDir;

use super::process::Bursar;

/// What all keys of this process begin with: nothing else in the world holds it.
static CANARY: LazyLock<String> = LazyLock::new(|| format!("{:032x}", rand_u128()));

fn rand_u128() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("random bytes");
    u128::from_ne_bytes(bytes)
}

/// The text that every key holds.
pub fn canary() -> &'static str {
    &CANARY
}

/// The key of a connection, as its provider sees it. It begins as no provider's keys do, so that nothing but knowing it
/// could keep it out of a text.
pub fn key_of(id: &str) -> String {
    format!("canary{}{}", canary(), id.replace(':', ""))
}

/// A daemon's directory.
pub struct Place(TempDir);

impl Place {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.path().join("b.sock")
    }

    pub fn admin_socket(&self) -> PathBuf {
        self.path().join("admin.sock")
    }

    pub fn daemon_file(&self) -> PathBuf {
        self.path().join("bursar.toml")
    }

    pub fn providers_file(&self) -> PathBuf {
        self.path().join("providers.toml")
    }

    pub fn key_file(&self) -> PathBuf {
        self.path().join("master.key")
    }

    /// Where the connections' keys are, which alone may hold them.
    pub fn secrets(&self) -> PathBuf {
        self.path().join("secrets")
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Saves a file as careful editors do: beside it, and then by rename.
    pub fn save(&self, file: &Path, text: &str) {
        let beside = self.path().join("being-saved");
        std::fs::write(&beside, text).expect("a file is written");
        std::fs::rename(beside, file).expect("a file is renamed");
    }

    /// Gives a connection another key.
    pub fn set_key(&self, id: &str, key: &str) {
        let file = self.secrets().join(id.replace(':', "."));
        std::fs::write(&file, key).expect("a key is written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode is set");
    }
}

/// A daemon in the making.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    server: String,
    daemon: String,
    providers: String,
    connections: Vec<(String, String)>,
    fetches: bool,
}

impl Setup {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lines for `[server]`; `DIR` stands for the daemon's directory.
    pub fn server(mut self, lines: &str) -> Self {
        let _ = writeln!(self.server, "{lines}");
        self
    }

    /// More for `bursar.toml`.
    pub fn daemon(mut self, text: &str) -> Self {
        let _ = writeln!(self.daemon, "{text}");
        self
    }

    /// More for `providers.toml`.
    pub fn providers(mut self, text: &str) -> Self {
        let _ = writeln!(self.providers, "{text}");
        self
    }

    /// A provider of OpenAI's kind at this address, with one listed model `m` that has a price.
    pub fn provider(self, name: &str, url: &str) -> Self {
        self.provider_with(name, url, "")
    }

    /// The same with further lines.
    pub fn provider_with(self, name: &str, url: &str, lines: &str) -> Self {
        self.provider_of("openai", name, &format!("{url}/v1"), lines)
    }

    /// A provider of any kind.
    pub fn provider_of(self, kind: &str, name: &str, base_url: &str, lines: &str) -> Self {
        self.providers(&format!(
            "[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\nallow_private = true\n{lines}\n\
             [providers.{name}.models.m]\nprice = {{ input = 2.50, output = 10.00 }}\n"
        ))
    }

    /// Lets the daemon ask providers for their lists of models by itself. Else it makes no call that a test did not.
    pub fn fetching(mut self) -> Self {
        self.fetches = true;
        self
    }

    /// A connection with its own key and further lines.
    pub fn connection(mut self, id: &str, lines: &str) -> Self {
        self.connections.push((id.to_owned(), lines.to_owned()));
        self
    }

    /// A provider with connections `a`, `b`, … whose priorities rise.
    pub fn ranked(self, name: &str, url: &str, connections: &[&str]) -> Self {
        let ranks = connections.iter().zip(1..);
        ranks.fold(self.provider(name, url), |setup, (connection, rank)| {
            setup.connection(&format!("{name}:{connection}"), &format!("priority = {rank}"))
        })
    }

    /// Short timeouts for everybody, and other defaults' lines.
    pub fn timeouts(self, lines: &str) -> Self {
        self.providers(&format!("[defaults.timeouts]\n{lines}\n"))
    }

    /// Writes all files.
    pub fn place(&self) -> Place {
        let place = Place(super::directory());
        let key = MasterKey::generate().expect("a master key");
        std::fs::write(place.key_file(), &*key.to_text()).expect("the key is written");
        std::fs::set_permissions(place.key_file(), std::fs::Permissions::from_mode(0o600)).expect("its mode");
        std::fs::create_dir(place.secrets()).expect("a directory");
        for (id, _) in &self.connections {
            place.set_key(id, &key_of(id));
        }
        self.write(&place);
        place
    }

    /// Writes the configuration anew.
    pub fn write(&self, place: &Place) {
        place.save(&place.daemon_file(), &self.daemon_text(place));
        place.save(&place.providers_file(), &self.providers_text(place));
    }

    pub fn daemon_text(&self, place: &Place) -> String {
        let dir = place.path().display();
        format!(
            "[server]\nsocket = \"{dir}/b.sock\"\n{}[store]\npath = \"{dir}/store\"\n[keys]\nfile = \"{dir}/master.key\"\n\
             [config]\nproviders = \"{dir}/providers.toml\"\n{}",
            self.server.replace("DIR", &dir.to_string()),
            self.daemon.replace("DIR", &dir.to_string()),
        )
    }

    pub fn providers_text(&self, place: &Place) -> String {
        let secrets = place.secrets();
        let mut text = self.providers.clone();
        for (id, lines) in &self.connections {
            let (provider, name) = id.split_once(':').expect("provider:name");
            let secret = secrets.join(format!("{provider}.{name}"));
            let _ = write!(
                text,
                "[[connections]]\nprovider = \"{provider}\"\nname = \"{name}\"\nsecret = {{ file = \"{}\" }}\n{lines}\n",
                secret.display()
            );
        }
        if !self.fetches {
            text.push_str("[defaults]\nfetch_models = false\n");
        }
        text
    }

    /// Writes all files, starts the daemon and waits until it is ready.
    pub async fn start(&self) -> Bursar {
        Bursar::start(self.place()).await
    }
}
