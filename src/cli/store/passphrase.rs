//! The key of a backup: a passphrase from the terminal, a file or standard input, or a key file. Never an argument.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use zeroize::Zeroizing;

use crate::api::admin::{BackupRequest, SecretText, Stretched};
use crate::bounds;
use crate::cli::exit::Failed;
use crate::credential::{BackupKey, BackupKeyError, BackupLock, MasterKey};

/// What a backup is sealed with: without either, a passphrase that is asked for, or read from standard input.
#[derive(Debug, Args)]
pub(super) struct Sealed {
    /// Read the passphrase from a file: its first line
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// A key of 32 bytes in place of a passphrase, as `bursar keys init --file` writes one
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Sealed {
    /// The key of a new backup, and how a daemon is asked to use it. A passphrase stays here.
    pub(super) fn fresh(&self) -> Result<(BackupKey, BackupRequest), Failed> {
        let failed = |error: BackupKeyError| Failed::data(error.to_string());
        if let Some(file) = &self.key_file {
            let given = key(file)?;
            let text = Zeroizing::new(given.to_text().trim_end().to_owned());
            let request = BackupRequest { key: SecretText::new(text), stretched: None };
            return Ok((BackupKey::from_key(&given).map_err(failed)?, request));
        }
        let key = BackupKey::from_passphrase(&self.passphrase(true)?).map_err(failed)?;
        let stretched = match key.lock() {
            BackupLock::Passphrase { salt, memory_kib, passes } => {
                Some(Stretched { salt: STANDARD.encode(salt), memory_kib, passes })
            }
            BackupLock::Key(_) => None,
        };
        let text = Zeroizing::new(STANDARD.encode(key.root()));
        Ok((key, BackupRequest { key: SecretText::new(text), stretched }))
    }

    /// The key of a backup that is there.
    pub(super) fn of(&self, lock: BackupLock) -> Result<BackupKey, Failed> {
        let key = match (&self.key_file, lock) {
            (Some(file), _) => BackupKey::of_key(&key(file)?, lock),
            (None, BackupLock::Key(id)) => {
                return Err(Failed::data(format!("the backup is sealed with the key {id}: give it with --key-file")));
            }
            (None, BackupLock::Passphrase { .. }) => BackupKey::of_passphrase(&self.passphrase(false)?, lock),
        };
        key.map_err(|error| Failed::data(error.to_string()))
    }

    fn passphrase(&self, twice: bool) -> Result<Zeroizing<Vec<u8>>, Failed> {
        if let Some(path) = &self.passphrase_file {
            let file = File::open(path).map_err(|error| unread(&format!("{}: {error}", path.display())))?;
            return first_line(file);
        }
        if !io::stdin().is_terminal() {
            return first_line(io::stdin().lock());
        }
        let ask = |prompt: &str| {
            let typed = rpassword::prompt_password(prompt).map_err(|error| unread(&error))?;
            Ok::<_, Failed>(Zeroizing::new(typed.into_bytes()))
        };
        let typed = ask("Passphrase of the backup (it is not shown): ")?;
        if twice && *ask("Once more: ")? != *typed {
            return Err(Failed::data("the two are not the same; no backup was made"));
        }
        Ok(typed)
    }
}

fn first_line(input: impl Read) -> Result<Zeroizing<Vec<u8>>, Failed> {
    // One allocation of its final size: growing would leave copies behind.
    let most = bounds::PASSPHRASE_BYTES_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    input.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| unread(&error))?;
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    if end > bounds::PASSPHRASE_BYTES_MAX {
        return Err(unread(&format!("it has more than {} bytes", bounds::PASSPHRASE_BYTES_MAX)));
    }
    bytes.truncate(end);
    if bytes.is_empty() { Err(unread(&"there is none")) } else { Ok(bytes) }
}

fn key(path: &Path) -> Result<MasterKey, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::data(format!("the key in {}: {error}", path.display()));
    let mut bytes = Zeroizing::new(Vec::with_capacity(4_097));
    File::open(path).and_then(|file| file.take(4_096).read_to_end(&mut bytes)).map_err(|error| failed(&error))?;
    MasterKey::parse(&bytes).map_err(|error| failed(&error))
}

fn unread(error: &dyn std::fmt::Display) -> Failed {
    Failed::data(format!("the passphrase cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line() {
        for given in ["correct horse", "correct horse\n", "correct horse\r\nmore"] {
            assert_eq!(first_line(given.as_bytes()).unwrap().as_slice(), b"correct horse");
        }
        for given in ["", "\n", &"x".repeat(bounds::PASSPHRASE_BYTES_MAX + 1)] {
            assert!(first_line(given.as_bytes()).is_err());
        }
    }
}
