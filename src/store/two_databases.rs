//! What older versions kept in two databases, `facts/` and `counters/`: read over into the one that took their place, once.

use std::path::Path;

use super::record::Record;
use super::volatile::{self, Table, Volatile};
use super::{Facts, Lease, Notices, StoreError, files};

/// Reads what is left of the two over, and removes them. A crash on the way leaves both as they were or reads them again.
pub(super) fn read_over(state_dir: &Path, into: &Volatile, notices: &Notices) -> Result<(), StoreError> {
    let facts = "cooldowns, parked accounts and rejected keys";
    of::<Facts>(&state_dir.join("facts"), facts, Table::Facts, into, notices)?;
    of::<Lease>(&state_dir.join("counters"), "the counters of daily limits", Table::Days, into, notices)
}

fn of<R: Record>(dir: &Path, what: &str, table: Table, into: &Volatile, notices: &Notices) -> Result<(), StoreError> {
    let failed = |error| StoreError::failed("remove a database that is not used any more", error);
    let old = files::beside(dir, "old");
    if dir.exists() {
        let database = volatile::open(dir, what, notices)?;
        let all = volatile::list::<R>(&database, b"")?;
        into.put(table, all.iter().map(|(scope, record)| (scope.clone(), Some(record))))?;
        drop(database);
        // Half removed it would look damaged.
        files::rename(dir, &old).map_err(failed)?;
    }
    files::remove_directory(&old).map_err(failed)
}
