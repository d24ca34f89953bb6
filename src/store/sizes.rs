//! How large the store's files are, part by part.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Store;
use crate::bounds;

/// Bytes of a block, as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

impl Store {
    /// The bytes on disk of each part of the state directory, by the part's name. Files that come and go meanwhile may be
    /// missed. Blocks.
    pub fn sizes(&self) -> BTreeMap<String, u64> {
        let mut sizes = BTreeMap::new();
        let mut left = bounds::METRIC_FILES_MAX;
        for entry in std::fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_part = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // Single files are small, and of no part.
            *sizes.entry(if is_part { name } else { "files".into() }).or_default() += size(&entry.path(), &mut left);
        }
        sizes
    }
}

fn size(path: &Path, left: &mut usize) -> u64 {
    let Some(rest) = left.checked_sub(1) else { return 0 };
    *left = rest;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    let own = meta.blocks().saturating_mul(BLOCK_BYTES);
    if !meta.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.fold(own, |sum, entry| sum.saturating_add(size(&entry.path(), left)))
}
