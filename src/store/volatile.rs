//! Databases whose fate is another than the state's: a damaged one is set aside, and what it held is learned again.

use std::path::Path;

use super::database::Database;
use super::{Notices, StoreError, files};

/// Opens the database in a directory, making it where there is none. A damaged one is set aside, and said so: `what` it
/// held.
pub(super) fn open(dir: &Path, cache_bytes: u64, what: &str, notices: &Notices) -> Result<Database, StoreError> {
    match open_whole(dir, cache_bytes) {
        Err(StoreError::Damaged { reason }) => {
            let aside = files::beside(dir, "damaged");
            let failed = |error| StoreError::failed("set a damaged database aside", error);
            files::remove_directory(&aside).map_err(failed)?;
            files::rename(dir, &aside).map_err(failed)?;
            notices.add(format!("{what} were damaged ({reason}), and are set aside in {}", aside.display()));
            open_whole(dir, cache_bytes)
        }
        opened => opened,
    }
}

fn open_whole(dir: &Path, cache_bytes: u64) -> Result<Database, StoreError> {
    if dir.exists() {
        Database::open(dir, cache_bytes, |_| Ok(())).map(|(database, ())| database)
    } else {
        // To make it elsewhere first and open it then would leave its tables in memory twice.
        Database::make(dir, cache_bytes)
    }
}
