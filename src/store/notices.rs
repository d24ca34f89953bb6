//! What operators should know about the store: filled while it opens and while it serves.

use std::sync::{Arc, Mutex, PoisonError};

use crate::bounds;

/// What operators should know about the store: newest last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    /// Says it in the log too. The oldest go when there are too many.
    pub(super) fn add(&self, notice: String) {
        tracing::error!("{notice}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= bounds::STORE_NOTICES_MAX {
            all.remove(0);
        }
        all.push(notice);
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
