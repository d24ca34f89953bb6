//! What the name service knows of a user: name and groups, remembered for a moment.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bounds;

/// A user with the groups that the name service has for it, the kernel's primary group among them.
///
/// These are the groups of the *user*; what a single process gave up or took on is not seen. Where nothing depends on
/// groups, the primary one is all that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user's number.
    pub uid: u32,
    /// The user's name.
    pub name: Option<Arc<str>>,
    /// All groups.
    pub groups: Vec<u32>,
}

/// What the name service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    /// The user, as the kernel says.
    pub uid: u32,
    /// Its primary group, as the kernel says.
    pub gid: u32,
    /// Whether its other groups matter. To list them a name service has to go through all its sources, directories on
    /// the network among them.
    pub groups: bool,
}

/// The name service, with a memory.
#[derive(Debug)]
pub struct Names {
    memory: Mutex<HashMap<Question, Remembered>>,
    /// Room for questions that it has not answered yet.
    asking: Arc<Semaphore>,
}

impl Default for Names {
    fn default() -> Self {
        Self { memory: Mutex::default(), asking: Arc::new(Semaphore::new(bounds::IDENTITY_LOOKUPS_MAX)) }
    }
}

/// A person, and when the name service was asked.
type Remembered = (Instant, Arc<Person>);

impl Names {
    /// Who a caller is: from memory, or from the name service on a thread that may wait for it.
    pub async fn who(self: &Arc<Self>, question: Question) -> Arc<Person> {
        if let Some(person) = self.remembered(question) {
            return person;
        }
        let room = Arc::clone(&self.asking).acquire_owned().await;
        let names = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let _room = room;
            // Others may have asked the same meanwhile.
            names.remembered(question).unwrap_or_else(|| names.look_up(question))
        });
        asked.await.unwrap_or_else(|_| Arc::new(Person { uid: question.uid, name: None, groups: vec![question.gid] }))
    }

    /// What is remembered of a user, and still believed.
    fn remembered(&self, question: Question) -> Option<Arc<Person>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, person) = memory.get(&question)?;
        (at.elapsed() < bounds::IDENTITY_CACHE_TTL).then(|| Arc::clone(person))
    }

    /// Asks the name service. This may block for as long as it likes: never call it on a worker.
    fn look_up(&self, question: Question) -> Arc<Person> {
        let Question { uid, gid, .. } = question;
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.as_ref().map(|user| Arc::from(user.name.as_str()));
        let mut groups = vec![gid];
        if let Some(listed) = user.filter(|_| question.groups).and_then(|user| supplementary(&user.name, gid)) {
            groups.extend(listed.into_iter().filter(|&other| other != gid));
        }
        let person = Arc::new(Person { uid, name, groups });
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() >= bounds::IDENTITY_CACHE_MAX {
            memory.clear();
        }
        memory.insert(question, (Instant::now(), Arc::clone(&person)));
        person
    }
}

fn supplementary(user: &str, gid: u32) -> Option<Vec<u32>> {
    let user = CString::new(user).ok()?;
    let groups = getgrouplist(&user, Gid::from_raw(gid)).ok()?;
    Some(groups.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_listed_only_where_they_matter() {
        let names = Names::default();
        let (uid, gid) = (nix::unistd::getuid().as_raw(), u32::MAX - 5);
        let asked = |groups| Question { uid, gid, groups };
        assert_eq!(names.look_up(asked(false)).groups, [gid], "the kernel's group is all that is known");
        assert!(names.remembered(asked(true)).is_none(), "what was not asked is not taken for an answer");
        let person = names.look_up(asked(true));
        assert!(person.groups.contains(&gid));
        assert_eq!(names.remembered(asked(true)), Some(person));
    }
}
