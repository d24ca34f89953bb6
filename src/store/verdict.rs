//! The rule by which a state is judged. Pure.
//!
//! Three witnesses tell how far the state had come: the database with the manifest inside it, the log of changes, and
//! the manifest outside. Each is authenticated by the store's own keys, and a change was acknowledged only after all
//! three had it. So whichever of them has the last change that any of them knows of, and has it whole, is right, unless
//! too few are left to tell that it *is* the last one.

use super::manifest::Contents;

/// What the witnesses say.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// What the database amounts to; or why it is not whole.
    pub(super) state: Result<Contents, String>,
    /// What the manifest inside says, even where the database is not whole.
    pub(super) claimed: Option<Contents>,
    /// What the log amounts to, as far as it is whole; or why nothing of it is.
    pub(super) log: Result<Contents, String>,
    /// What is wrong with the rest of the log.
    pub(super) torn: Option<String>,
    /// The manifest outside; or what is wrong with it.
    pub(super) manifest: Result<Contents, String>,
    /// Whether the state may just have been made: neither manifest nor marker is there.
    pub(super) fresh: bool,
}

/// What to do with a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The database is right. Beside it, something may have to be made anew.
    Whole {
        /// The log, and why.
        log: Option<String>,
        /// The manifest outside, and why.
        manifest: Option<String>,
    },
    /// The database is one change behind the log: a crash came between, unless the change had been acknowledged.
    Redo {
        /// It had been.
        acknowledged: bool,
    },
    /// The log is right: the database is made anew from it.
    Heal(String),
    /// What is left does not tell what was acknowledged.
    Refuse(String),
}

/// Which of the witnesses is right.
pub(super) fn decide(said: &Evidence) -> Verdict {
    let known = [said.claimed, said.manifest.clone().ok(), said.log.clone().ok()];
    let newest = known.iter().flatten().map(|contents| contents.generation).max().unwrap_or_default();
    match (&said.state, &said.log) {
        (Ok(state), Ok(log)) if state == log => agreed(said, *state, newest),
        (Ok(state), Ok(log)) if state.generation == log.generation => forked(said, *state, *log),
        (Ok(state), Ok(log)) if log.generation == state.generation + 1 && newest == log.generation => {
            match &said.manifest {
                Ok(manifest) if manifest.generation < newest => Verdict::Redo { acknowledged: false },
                Ok(manifest) if manifest == log => Verdict::Redo { acknowledged: true },
                Ok(_) => Verdict::Refuse("the log of changes tells of others than were acknowledged".into()),
                Err(_) => Verdict::Redo { acknowledged: false },
            }
        }
        (Ok(state), Ok(log)) if log.generation > state.generation => {
            let (has, made) = (state.generation, log.generation);
            let reason =
                format!("it holds change {has}, and change {made} was made: it lost some, or is an older copy");
            from_log(said, *log, newest, &reason)
        }
        (Ok(state), Err(log)) => from_state(said, *state, newest, log),
        (Ok(state), Ok(_)) => {
            let log = said.torn.as_deref().unwrap_or("it lost changes, or is an older copy");
            from_state(said, *state, newest, log)
        }
        (Err(reason), Ok(log)) => from_log(said, *log, newest, reason),
        (Err(reason), Err(log)) => Verdict::Refuse(format!("{reason}; and it cannot be made anew: {log}")),
    }
}

/// The database and the log tell the same.
fn agreed(said: &Evidence, state: Contents, newest: u64) -> Verdict {
    let manifest = match &said.manifest {
        Ok(manifest) if manifest.generation > state.generation => return Verdict::Refuse(lost(state, newest)),
        Ok(manifest) if fits(manifest, &state) => None,
        Ok(_) => Some("it was an older copy".into()),
        Err(_) if said.fresh && state.generation == 1 => None,
        Err(reason) => Some(reason.clone()),
    };
    Verdict::Whole { log: None, manifest }
}

/// The database and the log are equally far, with different changes: somebody went on with an older copy of one.
fn forked(said: &Evidence, state: Contents, log: Contents) -> Verdict {
    match &said.manifest {
        Ok(manifest) if *manifest == state => {
            Verdict::Whole { log: Some("it told of other changes".into()), manifest: None }
        }
        Ok(manifest) if *manifest == log => Verdict::Heal("it holds other changes than were acknowledged".into()),
        _ => Verdict::Refuse("the database and the log of changes tell of different changes".into()),
    }
}

/// Only the database is whole, or it knows more than the log.
fn from_state(said: &Evidence, state: Contents, newest: u64, log: &str) -> Verdict {
    match &said.manifest {
        _ if newest > state.generation => {
            Verdict::Refuse(format!("{}; and the log of changes cannot help: {log}", lost(state, newest)))
        }
        Err(reason) => Verdict::Refuse(format!("{reason}; and the log of changes cannot vouch for the rest: {log}")),
        Ok(manifest) if fits(manifest, &state) => Verdict::Whole { log: Some(log.into()), manifest: None },
        Ok(manifest) if manifest.generation < state.generation => {
            Verdict::Whole { log: Some(log.into()), manifest: Some("it was an older copy".into()) }
        }
        Ok(_) => Verdict::Refuse("the manifest outside tells of other changes than the database".into()),
    }
}

/// Only the log is whole, or it knows more than the database.
fn from_log(said: &Evidence, log: Contents, newest: u64, reason: &str) -> Verdict {
    match &said.manifest {
        _ if newest > log.generation => Verdict::Refuse(format!(
            "{reason}; and the log of changes ends with change {}, before change {newest}",
            log.generation
        )),
        Err(manifest) => {
            Verdict::Refuse(format!("{reason}; and {manifest}, so nothing vouches for the log of changes"))
        }
        Ok(manifest) if manifest.generation == log.generation && *manifest != log => {
            Verdict::Refuse(format!("{reason}; and the log of changes tells of others than were acknowledged"))
        }
        Ok(_) => Verdict::Heal(reason.into()),
    }
}

/// Whether a manifest outside is that of a state, or of the change before: a crash came between sync and replacement.
pub(super) fn fits(manifest: &Contents, state: &Contents) -> bool {
    manifest == state || manifest.generation.checked_add(1) == Some(state.generation)
}

pub(super) fn lost(state: Contents, newest: u64) -> String {
    let has = state.generation;
    format!(
        "change {newest} was the last one acknowledged, and the database holds change {has}: it lost some, or is an \
         older copy"
    )
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
