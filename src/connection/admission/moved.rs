//! A provider that has another name: what its connections used counts on for those of the same names at the new one. Who
//! grants the quotas knows nothing of names, and grants no day twice.

use std::collections::HashMap;
use std::sync::Arc;

use super::lease::Leased;
use super::scope::{Scope, ScopeKey, Used};
use super::{Admission, Scopes};
use crate::api::ProviderSlug;
use crate::clock::Now;
use crate::store::Lease;

/// A lease, and when it was read or made, in milliseconds since 1970.
type Noted = (Lease, i64);

/// What was carried from one name to another, as it is to be written down.
#[derive(Default)]
pub struct Carried {
    /// Scopes that are in use, and count more than they did.
    pub grown: Vec<Arc<dyn Leased>>,
    /// Leases of scopes that nobody uses as yet.
    pub leases: Vec<Lease>,
    /// The names of those of which nothing is to be stored any more.
    pub gone: Vec<String>,
}

impl Admission {
    /// What will be written down once everything of one provider's connections has been carried to another's. Stored
    /// before the connections themselves move, it makes a crash between the two count too much, and never too little.
    pub fn foreseen(&self, from: &ProviderSlug, to: &ProviderSlug, now: Now) -> Vec<Lease> {
        let scopes = self.write();
        let of_scope = |scope: &Arc<Scope>| Some((scope.lease(now)?, now.wall_ms));
        let of_names = scopes
            .before
            .iter()
            .filter_map(|(name, noted)| Some((ScopeKey::of_stored(name)?.moved(from, to)?, noted.clone())));
        let of_scopes = scopes.all.iter().filter_map(|(key, scope)| Some((key.moved(from, to)?, of_scope(scope)?)));
        let mut all = HashMap::new();
        for (key, noted) in of_names.chain(of_scopes) {
            let name = key.stored();
            let there = scopes.all.get(&key).and_then(of_scope).or_else(|| scopes.before.get(&name).cloned());
            put(&mut all, &name, noted, now);
            there.into_iter().for_each(|there| put(&mut all, &name, there, now));
        }
        all.into_values().map(|(lease, _)| lease).collect()
    }

    /// Carries what was used of one provider's connections to those of the same names at another.
    pub fn carry(&self, from: &ProviderSlug, to: &ProviderSlug, now: Now) -> Carried {
        let mut scopes = self.write();
        let Scopes { all, before, .. } = &mut *scopes;
        let mut carried = Carried::default();
        let mut left = Vec::new();
        let in_use: Vec<_> = all.extract_if(|key, _| key.moved(from, to).is_some()).collect();
        for (key, scope) in in_use {
            let Some(new) = key.moved(from, to) else { continue };
            carried.gone.push(key.stored());
            match all.get(&new) {
                Some(there) => carried.grow(there, &scope.used(now), now),
                None => left.extend(scope.last_lease(now).map(|lease| (new, (lease, now.wall_ms)))),
            }
        }
        let moved = |name: &str| ScopeKey::of_stored(name).and_then(|key| key.moved(from, to));
        let written: Vec<_> = before.extract_if(|name, _| moved(name).is_some()).collect();
        for (name, noted) in written {
            let Some(new) = moved(&name) else { continue };
            carried.gone.push(name);
            match all.get(&new) {
                Some(there) => carried.grow(there, &used(&noted, now), now),
                None => left.push((new, noted)),
            }
        }
        for (key, noted) in left {
            let name = key.stored();
            put(before, &name, noted, now);
            carried.leases.extend(before.get(&name).map(|(lease, _)| lease.clone()));
        }
        carried
    }
}

impl Carried {
    fn grow(&mut self, scope: &Arc<Scope>, used: &Used, now: Now) {
        scope.take_over(used, now);
        self.grown.push(Arc::clone(scope) as Arc<dyn Leased>);
    }
}

/// What a lease says was used of the day that it is now.
fn used((lease, read_ms): &Noted, now: Now) -> Used {
    let (requests_per_day, tokens_per_day) = if now.wall_ms < lease.ends_ms {
        (lease.requests, lease.tokens)
    } else if *read_ms >= lease.ends_ms {
        (lease.requests_ahead, lease.tokens_ahead)
    } else {
        (0, 0)
    };
    Used { requests_per_day, tokens_per_day, ..Used::default() }
}

/// Adds a lease under a name. Of a day that is over nothing counts beside one that is not.
fn put(all: &mut HashMap<String, Noted>, name: &str, (mut lease, at_ms): Noted, now: Now) {
    lease.scope = name.to_owned();
    if let Some((there, _)) = all.get(name).filter(|(there, _)| now.wall_ms < there.ends_ms) {
        if now.wall_ms >= lease.ends_ms {
            return;
        }
        lease.requests = lease.requests.saturating_add(there.requests);
        lease.tokens = lease.tokens.saturating_add(there.tokens);
        lease.requests_ahead = lease.requests_ahead.saturating_add(there.requests_ahead);
        lease.tokens_ahead = lease.tokens_ahead.saturating_add(there.tokens_ahead);
    }
    all.insert(name.to_owned(), (lease, at_ms));
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use tokio::time::Instant;

    use super::*;
    use crate::config::Limits;
    use crate::connection::admission::{Limited, reserve};

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    fn now() -> Now {
        Now { at: Instant::now(), wall_ms: 20_000 * DAY_MS }
    }

    fn scope(admission: &Admission, name: &str, model: Option<&str>) -> Limited {
        let limits = Limits { requests_per_day: Some(10), requests_per_minute: Some(8), ..Limits::default() };
        let key = ScopeKey::of_stored(&format!("c/{name}")).unwrap();
        let key = ScopeKey { model: model.map(Into::into), ..key };
        Limited { scope: admission.scope(&key, &limits, &TimeZone::UTC), limits }
    }

    fn call(scope: &Limited, times: u64, now: Now) {
        for _ in 0..times {
            reserve(&[Some(scope), None, None, None], 1, now, None).unwrap().end(now);
        }
    }

    fn slugs() -> (ProviderSlug, ProviderSlug) {
        ("old".parse().unwrap(), "new".parse().unwrap())
    }

    #[test]
    fn a_name_in_the_store_is_that_of_its_scope() {
        for name in ["c/openai:main", "c/openrouter:main/openai/gpt-4.1", "g/acme", "g/acme/m"] {
            assert_eq!(ScopeKey::of_stored(name).unwrap().stored(), name);
        }
        for name in ["b/budget", "c/openai", "nothing"] {
            assert_eq!(ScopeKey::of_stored(name), None);
        }
    }

    #[test]
    fn what_was_used_counts_on_under_the_new_name_whichever_was_there_first() {
        let (now, (from, to)) = (now(), slugs());
        let admission = Admission::default();
        let (old, model) = (scope(&admission, "old:main", None), scope(&admission, "old:main", Some("a/b")));
        let other = scope(&admission, "older:main", None);
        call(&old, 4, now);
        call(&model, 3, now);
        call(&other, 2, now);
        // One of the new names is in use already.
        let new = scope(&admission, "new:main", None);
        call(&new, 2, now);
        let foreseen: u64 = admission.foreseen(&from, &to, now).iter().map(|lease| lease.requests).sum();
        assert!(foreseen >= 9, "{foreseen}");
        let carried = admission.carry(&from, &to, now);
        assert_eq!(carried.grown.len(), 1);
        assert_eq!(
            carried.leases.iter().map(|lease| (lease.scope.as_str(), lease.requests)).collect::<Vec<_>>(),
            [("c/new:main/a/b", 3)]
        );
        assert_eq!(carried.gone.len(), 2, "{:?}", carried.gone);
        let used =
            |scope: &Limited| (scope.scope.used(now).requests_per_day, scope.scope.used(now).requests_per_minute);
        assert_eq!(used(&new), (6, 6));
        assert_eq!(used(&scope(&admission, "new:main", Some("a/b"))).0, 3);
        assert_eq!(used(&other), (2, 2), "a name that begins alike is another one");
        assert!(reserve(&[Some(&new), None, None, None], 1, now, None).is_ok());
        let again = admission.carry(&from, &to, now);
        assert!(again.grown.is_empty() && again.leases.is_empty() && again.gone.is_empty());
        assert_eq!(used(&new).0, 7, "the second time nothing is counted twice");
    }

    #[test]
    fn what_a_process_before_wrote_down_goes_along_and_not_what_is_over() {
        let (now, (from, to)) = (now(), slugs());
        let lease = |name: &str, day: i64, requests: u64| Lease {
            scope: name.into(),
            starts_ms: now.wall_ms + day * DAY_MS,
            ends_ms: now.wall_ms + (day + 1) * DAY_MS,
            requests,
            tokens: 0,
            requests_ahead: 1,
            tokens_ahead: 0,
            nano_usd: 0,
            nano_usd_ahead: 0,
        };
        let written =
            vec![lease("c/old:a", 0, 5), lease("c/old:b", 0, 6), lease("c/old:c", -1, 7), lease("c/new:b", 0, 1)];
        let admission = Admission::default().restored(written, now.wall_ms);
        let new = scope(&admission, "new:a", None);
        let carried = admission.carry(&from, &to, now);
        assert_eq!(carried.gone.len(), 3);
        let used = |name: &str| scope(&admission, name, None).scope.used(now).requests_per_day;
        assert_eq!((new.scope.used(now).requests_per_day, used("new:b"), used("new:c")), (5, 7, 1));
        assert_eq!(used("old:a"), 0);
    }
}
