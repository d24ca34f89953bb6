//! Reads a backup to its end, before anything is done with it.

use std::io::Read;

use super::item::{self, Item};
use super::sealed::{self, Opener, damaged};
use super::{BackupError, Counts, Head};
use crate::credential::{BackupKey, Cipher, Vault};
use crate::store::connections::{self, StoredConnection};
use crate::store::record;

/// A backup that was read to its end, and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What stands at its beginning.
    pub head: Head,
    /// What it holds.
    pub counts: Counts,
}

/// What stands in clear at a backup's beginning.
///
/// # Errors
/// When it is none, or a newer version's.
pub fn head(mut input: impl Read) -> Result<Head, BackupError> {
    sealed::head(&mut input).map(|(head, _)| head)
}

/// Reads a backup to its end and opens every credential in it.
///
/// # Errors
/// When the key is another one, or anything is damaged.
pub fn inspect(input: impl Read, key: &BackupKey) -> Result<Inspected, BackupError> {
    walk(input, key, |_, _| Ok(()))
}

/// Shows every piece, with what opens the credentials in it; then holds it all against the counts at the end.
pub(super) fn walk(
    mut input: impl Read,
    key: &BackupKey,
    mut see: impl FnMut(Item, &Cipher) -> Result<(), BackupError>,
) -> Result<Inspected, BackupError> {
    let (head, bytes) = sealed::head(&mut input)?;
    let mut from = Opener::begin(input, &bytes, key)?;
    let mut counts = Counts::default();
    let mut first = true;
    let said = loop {
        let item = item::read(&mut from)?;
        let out_of_place = matches!(item, Item::Keys { .. }) != first;
        match &item {
            _ if out_of_place => return Err(damaged(from.at(), "a record is out of place")),
            Item::End(said) => break *said,
            Item::Keys { .. } => {}
            Item::Record { key, value } => {
                counts.records += 1;
                counts.credentials += u64::from(has_credential(key, value, from.cipher())?);
            }
            Item::Volatile { .. } => counts.volatile += 1,
            Item::Segment { .. } => counts.segments += 1,
            Item::Block { .. } if counts.segments == 0 => return Err(damaged(from.at(), "a record is out of place")),
            Item::Block { .. } => counts.blocks += 1,
            Item::File { name, bytes } => {
                if !name.iter().all(|name| is_plain(name)) {
                    return Err(damaged(from.at(), "a file's name makes no sense"));
                }
                counts.rollup_bytes += bytes.len() as u64;
            }
        }
        first = false;
        see(item, from.cipher())?;
    };
    if said != (Counts { generation: said.generation, ..counts }) {
        return Err(damaged(from.at(), "it holds less or more than was written"));
    }
    from.end()?;
    Ok(Inspected { head, counts: said })
}

/// Whether a name is one, and no way to another place.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

/// Whether a record has a credential, which then opens.
fn has_credential(key: &[u8], value: &[u8], cipher: &Cipher) -> Result<bool, BackupError> {
    if !connections::is_key(key) {
        return Ok(false);
    }
    let connection: StoredConnection = record::decode(key, value)?;
    let Some(secret) = &connection.secret else { return Ok(false) };
    Vault::opens_handed_over(&connection.id, secret, cipher)
        .map(|()| true)
        .map_err(|error| BackupError::Credential { connection: connection.id.to_string(), error })
}
