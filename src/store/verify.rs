//! Walks everything that a store holds, and tells what is wrong with it.

use super::connections::{self, StoredConnection};
use super::manifest::{self, Contents, Manifest};
use super::switches::{ConnectionSwitches, ProviderSwitches};
use super::{ModelLists, Store, StoreError, files, keys, record, replay};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How often the state had changed.
    pub generation: u64,
    /// Its records.
    pub records: u64,
    /// Credentials among them that open.
    pub credentials: u64,
    /// Records of what changes all day long.
    pub volatile: u64,
    /// Segments of usage.
    pub segments: u64,
    /// Usage records in them.
    pub usage_records: u64,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
}

impl Store {
    /// Reads everything, while the store is in use. Changes of the state wait while that is read.
    ///
    /// # Errors
    /// When something cannot be read at all. What is read and makes no sense is a problem that is told.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut found = Verified::default();
        self.state.inspect(|database, contents| {
            let (mut sum, mut problems) =
                (Contents { generation: contents.generation, ..Contents::default() }, Vec::new());
            database.visit(b"", |key, value| {
                if key != manifest::KEY {
                    sum.add(self.state.vault(), key, value);
                    found.records += 1;
                    match self.sound(key, value) {
                        Ok(credentials) => found.credentials += credentials,
                        Err(problem) => problems.push(problem),
                    }
                }
                Ok(true)
            })?;
            found.generation = contents.generation;
            if sum != *contents {
                problems.push("the state holds other records than its manifest says".into());
            }
            problems.extend(self.beside_the_state(contents));
            found.problems.append(&mut problems);
            Ok(())
        })?;
        self.volatile.sound(&mut found.volatile, &mut found.problems)?;
        self.verify_usage(&mut found)?;
        Ok(found)
    }

    /// Whether a record reads, and how many credentials of it open.
    fn sound(&self, key: &[u8], value: &[u8]) -> Result<u64, String> {
        let name = || String::from_utf8_lossy(key).into_owned();
        if connections::is_key(key) {
            let connection: StoredConnection = record::decode(key, value).map_err(|error| error.to_string())?;
            let Some(secret) = &connection.secret else { return Ok(0) };
            let opened = self.state.vault().open(&connection.id, &secret.origin, secret);
            return opened
                .map(|_| 1)
                .map_err(|error| format!("the credential of {} does not open: {error}", connection.id));
        }
        let read = if key == keys::KEY {
            record::decode::<crate::credential::WrappedKeys>(key, value).map(drop)
        } else {
            let known = [ProviderSwitches::reads, ConnectionSwitches::reads, ModelLists::reads];
            match known.iter().find_map(|reads| reads(key, value)) {
                Some(read) => read,
                None => return Err(format!("nobody knows what the record {} is", name())),
            }
        };
        read.map(|()| 0).map_err(|error| format!("the record {}: {error}", name()))
    }

    /// What is wrong with the manifest outside and the log of changes.
    fn beside_the_state(&self, contents: &Contents) -> Vec<String> {
        let (paths, vault) = (self.state.paths(), self.state.vault());
        let outside = files::read_if_there(&paths.manifest).ok().flatten();
        let outside = outside.and_then(|value| record::decode::<Manifest>(manifest::KEY, &value).ok());
        let outside = outside.and_then(|manifest| manifest.verified(vault));
        let log = replay::records(&paths.changes, &vault.keyring());
        let told = match log {
            Ok((_, told)) if told == *contents => None,
            Ok(_) => Some("the log of changes tells of another state".into()),
            Err(error) => Some(format!("the log of changes: {error}")),
        };
        let manifest = (outside != Some(*contents)).then(|| "the file \"manifest\" tells of another state".into());
        manifest.into_iter().chain(told).collect()
    }

    fn verify_usage(&self, found: &mut Verified) -> Result<(), StoreError> {
        let before = self.notices().len();
        found.segments = self.usage.segment_names().len() as u64;
        let count = |_: &crate::api::UsageRecord| {
            found.usage_records += 1;
            std::ops::ControlFlow::Continue(())
        };
        self.usage.scan(i64::MIN, i64::MAX, count)?;
        found.problems.extend(self.notices().into_iter().skip(before));
        Ok(())
    }
}
