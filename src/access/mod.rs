//! Who is calling, which app that is, and what it may do.
//!
//! Identity is what the kernel says of a connection (`SO_PEERCRED`): user and primary group, and, where the configuration
//! names any group, the supplementary groups that the name service has for the user. It is not optional and has no
//! default; nothing that a client sends changes it.

mod names;
mod role;

use std::sync::Arc;

pub use names::{Names, Person, Question};
pub use role::{Role, Roles};

use crate::api::{AppName, Feature};
use crate::config::{self, Match, Members, Principal};

/// The user that the kernel shows where it cannot show the real one: it is nobody that a role could be given to.
const OVERFLOW_UID: u32 = 65_534;

/// A caller as one request sees it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The user's name, where there is one.
    pub user: Option<Arc<str>>,
    /// Which app that is.
    pub app: AppName,
    /// The feature of its calls that name none.
    pub feature: Feature,
    /// What it may do.
    pub roles: Roles,
}

/// Who may do what, as the configuration has it, with names looked up.
#[derive(Debug, Clone)]
pub struct Access {
    admin: Set,
    viewer: Set,
    client: Set,
    apps: Vec<App>,
    own_uid: u32,
}

/// Users and groups of a role, by number.
#[derive(Debug, Clone, Default)]
struct Set {
    users: Vec<u32>,
    groups: Vec<u32>,
}

#[derive(Debug, Clone)]
struct App {
    name: AppName,
    feature: Option<Feature>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Identity {
    /// Whether the kernel could not tell who calls.
    pub fn is_unknown(&self) -> bool {
        is_unknown(self.uid)
    }
}

const fn is_unknown(uid: u32) -> bool {
    uid == OVERFLOW_UID || uid == u32::MAX
}

impl Access {
    /// Looks up the names of a configuration. What the name service does not know is left out, and said.
    pub fn resolve(access: &config::Access, apps: &[config::App], own_uid: u32) -> (Self, Vec<String>) {
        let mut unknown = Vec::new();
        let mut set = |members: &Members| Set {
            users: members.users.iter().filter_map(|user| user_id(user, &mut unknown)).collect(),
            groups: members.groups.iter().filter_map(|group| group_id(group, &mut unknown)).collect(),
        };
        let (admin, viewer, client) = (set(&access.admin), set(&access.viewer), set(&access.client));
        let mut apps: Vec<App> = apps
            .iter()
            .filter_map(|app| {
                let (uid, gid) = match &app.matches {
                    Match::User(user) => (Some(user_id(user, &mut unknown)?), None),
                    Match::Group(group) => (None, Some(group_id(group, &mut unknown)?)),
                };
                Some(App { name: app.name.clone(), feature: app.feature.clone(), uid, gid })
            })
            .collect();
        // The most special match wins: users before groups.
        apps.sort_by_key(|app| app.uid.is_none());
        unknown.dedup();
        (Self { admin, viewer, client, apps, own_uid }, unknown)
    }

    /// Whether anything depends on the groups of a caller.
    pub fn asks_for_groups(&self) -> bool {
        [&self.admin, &self.viewer, &self.client].iter().any(|set| !set.groups.is_empty())
            || self.apps.iter().any(|app| app.gid.is_some())
    }

    /// What the configuration makes of a caller.
    pub fn identify(&self, person: &Person) -> Identity {
        let app = self
            .apps
            .iter()
            .find(|app| app.uid == Some(person.uid) || app.gid.is_some_and(|gid| person.groups.contains(&gid)));
        Identity {
            uid: person.uid,
            user: person.name.clone(),
            app: app.map_or_else(|| AppName::for_user(person.name.as_deref(), person.uid), |app| app.name.clone()),
            feature: app.and_then(|app| app.feature.clone()).unwrap_or_else(Feature::unlabelled),
            roles: self.roles(person),
        }
    }

    fn roles(&self, person: &Person) -> Roles {
        if is_unknown(person.uid) {
            return Roles::NONE;
        }
        let own = person.uid == self.own_uid;
        let member =
            |set: &Set| set.users.contains(&person.uid) || person.groups.iter().any(|gid| set.groups.contains(gid));
        let mut roles = Roles::NONE;
        if own || member(&self.admin) {
            roles = roles.with(Role::Admin).with(Role::Viewer);
        }
        if member(&self.viewer) {
            roles = roles.with(Role::Viewer);
        }
        if own || member(&self.client) {
            roles = roles.with(Role::Client);
        }
        roles
    }
}

fn user_id(user: &Principal, unknown: &mut Vec<String>) -> Option<u32> {
    match user {
        Principal::Number(uid) => Some(*uid),
        Principal::Name(name) => {
            let found = nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
            if found.is_none() {
                unknown.push(format!("there is no user {name:?}"));
            }
            found
        }
    }
}

fn group_id(group: &Principal, unknown: &mut Vec<String>) -> Option<u32> {
    match group {
        Principal::Number(gid) => Some(*gid),
        Principal::Name(name) => {
            let found = nix::unistd::Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
            if found.is_none() {
                unknown.push(format!("there is no group {name:?}"));
            }
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(uid: u32, groups: &[u32]) -> Person {
        Person { uid, name: Some("someone".into()), groups: groups.to_vec() }
    }

    fn access() -> Access {
        let set = |users: &[u32], groups: &[u32]| Members {
            users: users.iter().copied().map(Principal::Number).collect(),
            groups: groups.iter().copied().map(Principal::Number).collect(),
        };
        let roles = config::Access { admin: set(&[0], &[10]), viewer: set(&[], &[20]), client: set(&[], &[30]) };
        let app = |name: &str, matches| config::App {
            name: name.parse().unwrap(),
            matches,
            feature: Some("f".parse().unwrap()),
        };
        let apps =
            [app("group-app", Match::Group(Principal::Number(30))), app("user-app", Match::User(Principal::Number(5)))];
        Access::resolve(&roles, &apps, 900).0
    }

    #[test]
    fn a_group_anywhere_makes_groups_matter() {
        assert!(access().asks_for_groups());
        let user = |uid| Members { users: vec![Principal::Number(uid)], groups: vec![] };
        let roles = config::Access { admin: user(0), viewer: user(1), client: user(2) };
        let app = |matches| config::App { name: "a".parse().unwrap(), matches, feature: None };
        let users_alone = Access::resolve(&roles, &[app(Match::User(Principal::Number(5)))], 900).0;
        assert!(!users_alone.asks_for_groups());
        let an_app = Access::resolve(&roles, &[app(Match::Group(Principal::Number(5)))], 900).0;
        assert!(an_app.asks_for_groups());
    }

    #[test]
    fn roles_come_from_the_configuration_alone() {
        let roles = |uid, groups: &[u32]| access().identify(&person(uid, groups)).roles;
        assert!(roles(0, &[]).has(Role::Admin) && roles(0, &[]).has(Role::Viewer));
        assert!(!roles(0, &[]).has(Role::Client), "an admin is no client unless it is said");
        assert!(roles(7, &[30]).has(Role::Client) && !roles(7, &[30]).has(Role::Viewer));
        assert!(roles(7, &[20]).has(Role::Viewer) && !roles(7, &[20]).has(Role::Admin));
        assert!(roles(900, &[]).has(Role::Admin) && roles(900, &[]).has(Role::Client), "the daemon's own user");
        assert_eq!(roles(OVERFLOW_UID, &[10, 30]), Roles::NONE);
        assert!(access().identify(&person(OVERFLOW_UID, &[])).is_unknown());
    }

    #[test]
    fn the_most_special_app_wins() {
        assert_eq!(access().identify(&person(5, &[30])).app.as_str(), "user-app");
        assert_eq!(access().identify(&person(6, &[30])).app.as_str(), "group-app");
        let other = access().identify(&person(6, &[31]));
        assert_eq!((other.app.as_str(), other.feature.as_str()), ("someone", "unlabelled"));
    }
}
