//! Format 2: a sealed log of changes beside the state, with a data key of its own; and one database for what changes all
//! day long, where there were two. (Its records are read over when it is opened: `two_databases.rs`.)

use std::io;

use super::{Before, Place, Step};
use crate::bounds;
use crate::credential::{Keyring, Vault, WrappedKeys};
use crate::store::database::{Batch, Database};
use crate::store::manifest::{self, Contents, Manifest};
use crate::store::opening;
use crate::store::record::Record;
use crate::store::state::{self, State};
use crate::store::verdict::{fits, lost};
use crate::store::volatile::{Table, Volatile};
use crate::store::witnesses::{self, damaged, wrong};
use crate::store::{Facts, Lease, OpenError, files, keys, record};

pub(super) const STEP: Step = Step { before_up, up, after_up, before_down, down, after_down };

/// A state of format 1, whole.
struct First {
    database: Database,
    wrapped: WrappedKeys,
    /// The same with the key that format 2 adds; none if it is there.
    completed: Option<WrappedKeys>,
    vault: Vault,
    contents: Contents,
}

/// Opens a state of format 1: whole, or not at all.
fn open(place: &Place<'_>) -> Result<First, OpenError> {
    let paths = place.paths;
    let (database, wrapped, inside) = witnesses::database(paths)?.map_err(|reason| damaged(paths, reason))?;
    let master = place.masters.iter().find(|master| master.id() == wrapped.master).or(place.masters.first());
    let master = master.ok_or_else(|| OpenError::io(place.dir, "no master key was given"))?;
    let completed = Keyring::completed(master, &wrapped).map_err(|error| wrong(paths, error))?;
    let keyring = Keyring::open(master, completed.as_ref().unwrap_or(&wrapped)).map_err(|error| wrong(paths, error))?;
    let vault = Vault::new(keyring);
    let (counted, _) = witnesses::count(paths, database, inside, &vault)?;
    let (database, contents) = counted.map_err(|reason| damaged(paths, reason))?;
    match witnesses::outside(paths, &vault)? {
        Ok(outside) if fits(&outside, &contents) => {}
        // Only a state that was just made has none yet.
        Err(_) if contents.generation == 1 && !paths.manifest.exists() && !paths.marker.exists() => {}
        Ok(outside) => return Err(damaged(paths, lost(contents, outside.generation))),
        Err(reason) => return Err(damaged(paths, reason)),
    }
    Ok(First { database, wrapped, completed, vault, contents })
}

fn before_up(place: &Place<'_>) -> Result<Before, OpenError> {
    let First { database, vault, contents, .. } = open(place)?;
    let records = state::all(&database).map_err(|error| OpenError::store(place.dir, error))?;
    Ok(Before { records, contents, vault })
}

fn up(place: &Place<'_>) -> Result<(), OpenError> {
    let First { database, wrapped, completed, vault, mut contents } = open(place)?;
    let make = || {
        place.disk.check()?;
        // The manifest outside may be one behind and never two.
        state::write_manifest(place.paths, &vault, contents)?;
        if let Some(completed) = completed {
            contents = add_key(&database, &vault, contents, &wrapped, &completed)?;
            state::write_manifest(place.paths, &vault, contents)?;
        }
        state::log_of(place.paths, &database, &vault.keyring(), contents).map(drop)
    };
    make().map_err(|error| OpenError::store(place.dir, error))
}

/// Stores the keys with the one that is new.
fn add_key(
    database: &Database,
    vault: &Vault,
    before: Contents,
    old: &WrappedKeys,
    new: &WrappedKeys,
) -> Result<Contents, crate::store::StoreError> {
    let mut next = Contents { generation: before.generation + 1, ..before };
    let value = record::encode(keys::KEY, new)?;
    next.subtract(vault, keys::KEY, &record::encode(keys::KEY, old)?);
    next.add(vault, keys::KEY, &value);
    let mut batch = Batch::default();
    batch.insert(keys::KEY, value);
    batch.insert(manifest::KEY, record::encode(manifest::KEY, &Manifest::of(vault, next))?);
    database.commit(batch)?;
    Ok(next)
}

/// The two databases are read over by whoever opens the store, and are gone after that. What stands here is what a step
/// down left that was cut off.
fn after_up(place: &Place<'_>) -> io::Result<()> {
    files::remove_directory(&place.dir.join("volatile.old"))
}

fn open_second(place: &Place<'_>) -> Result<State, OpenError> {
    opening::open(place.paths, place.masters, place.disk, place.notices)
}

fn before_down(place: &Place<'_>) -> Result<Before, OpenError> {
    let state = open_second(place)?;
    let (records, contents) = state.copy().map_err(|error| OpenError::store(place.dir, error))?;
    Ok(Before { records, contents, vault: state.vault().clone() })
}

/// Format 1 knows one key of credentials, and two databases of what changes all day long. The key of the log may stay
/// where it is: nobody asks for it there.
fn down(place: &Place<'_>) -> Result<(), OpenError> {
    let state = open_second(place)?;
    crate::store::rekey::reseal(&state).map_err(|error| OpenError::store(place.dir, error))?;
    drop(state);
    let volatile_dir = place.dir.join("volatile");
    let split = || {
        let volatile = Volatile::open(&volatile_dir, place.disk.clone(), place.notices)?;
        into_one_of_two::<Facts>(place, &volatile, Table::Facts, "facts")?;
        into_one_of_two::<Lease>(place, &volatile, Table::Days, "counters")
    };
    split().map_err(|error| OpenError::store(&volatile_dir, error))
}

/// Makes one of the two databases anew.
fn into_one_of_two<R: Record>(
    place: &Place<'_>,
    volatile: &Volatile,
    table: Table,
    name: &str,
) -> Result<(), crate::store::StoreError> {
    let mut batch = Batch::default();
    for (scope, kept) in volatile.list::<R>(table)? {
        batch.insert(&scope, record::encode(&scope, &kept)?);
    }
    let dir = place.dir.join(name);
    let failed = |error| crate::store::StoreError::failed("make a database anew", error);
    files::remove_directory(&dir).map_err(failed)?;
    Database::create(&dir, bounds::VOLATILE_CACHE_BYTES, batch)
}

fn after_down(place: &Place<'_>) -> io::Result<()> {
    files::remove_file(&place.paths.changes)?;
    let (volatile, old) = (place.dir.join("volatile"), place.dir.join("volatile.old"));
    if volatile.exists() {
        // Half removed it would look damaged.
        files::remove_directory(&old)?;
        files::rename(&volatile, &old)?;
    }
    files::remove_directory(&old)?;
    files::sync_directory(place.dir)
}
