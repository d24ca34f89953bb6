//! What the name service knows of a user: name and groups, remembered for a moment.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::time::Instant;

use crate::bounds;

/// A user with the groups that the name service has for it, the kernel's primary group among them.
///
/// These are the groups of the *user*; what a single process gave up or took on is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user's number.
    pub uid: u32,
    /// The user's name.
    pub name: Option<Arc<str>>,
    /// All groups.
    pub groups: Vec<u32>,
}

/// The name service, with a memory.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<(u32, u32), Remembered>>);

/// A person, and when the name service was asked.
type Remembered = (Instant, Arc<Person>);

impl Names {
    /// What is remembered of a user, and still believed.
    pub fn remembered(&self, uid: u32, gid: u32) -> Option<Arc<Person>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, person) = memory.get(&(uid, gid))?;
        (at.elapsed() < bounds::IDENTITY_CACHE_TTL).then(|| Arc::clone(person))
    }

    /// Asks the name service. This may block for as long as it likes: never call it on a worker.
    pub fn look_up(&self, uid: u32, gid: u32) -> Arc<Person> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.as_ref().map(|user| Arc::from(user.name.as_str()));
        let mut groups = vec![gid];
        if let Some(listed) = user.and_then(|user| supplementary(&user.name, gid)) {
            groups.extend(listed.into_iter().filter(|&other| other != gid));
        }
        let person = Arc::new(Person { uid, name, groups });
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() >= bounds::IDENTITY_CACHE_MAX {
            memory.clear();
        }
        memory.insert((uid, gid), (Instant::now(), Arc::clone(&person)));
        person
    }
}

fn supplementary(user: &str, gid: u32) -> Option<Vec<u32>> {
    let user = CString::new(user).ok()?;
    let groups = getgrouplist(&user, Gid::from_raw(gid)).ok()?;
    Some(groups.into_iter().map(Gid::as_raw).collect())
}
