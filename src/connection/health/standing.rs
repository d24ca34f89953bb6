//! What stands against one account, or one connection: the machine itself. Pure: the time is an argument.

use std::collections::HashMap;

use super::cooldown::{Cooldown, Length};
use crate::bounds;
use crate::clock::{Instant, Now};
use crate::store::{CoolingFact, Facts, ModelFact, ParkedFact};

/// What speaks against trying an account with a model now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The account is out of money or quota.
    Parked,
    /// The model cools.
    Cooling {
        /// When it is over.
        until: Instant,
        /// Whether the provider said so, or Bursar guessed.
        said: bool,
    },
    /// The model is not for this credential.
    NotForKey {
        /// When it is tried again.
        until: Instant,
    },
}

/// The state of an account, or of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    parked: Option<Parked>,
    models: HashMap<Box<str>, Marks>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parked {
    since: Instant,
    reason: String,
}

/// What stands against one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    cooling: Option<Cooldown>,
    /// Since when, and until when, it is not for the credential.
    barred: Option<(Instant, Instant)>,
}

impl Marks {
    fn until(&self) -> Option<Instant> {
        self.cooling.map(|one| one.until).max(self.barred.map(|(_, until)| until))
    }
}

impl Standing {
    /// Whether nothing at all is remembered.
    pub fn is_clear(&self) -> bool {
        self.parked.is_none() && self.models.is_empty()
    }

    /// What speaks against a model now, the most lasting first.
    pub fn against(&self, model: &str, now: Instant) -> Option<Against> {
        if self.parked.is_some() {
            return Some(Against::Parked);
        }
        let marks = self.models.get(model)?;
        match (marks.barred, marks.cooling) {
            (Some((_, until)), _) if until > now => Some(Against::NotForKey { until }),
            (_, Some(Cooldown { until, said, .. })) if until > now => Some(Against::Cooling { until, said }),
            _ => None,
        }
    }

    /// Why it is parked, if it is.
    pub fn parked(&self) -> Option<&str> {
        self.parked.as_ref().map(|parked| parked.reason.as_str())
    }

    /// The models that cool now, and until when.
    pub fn cooling(&self, now: Instant) -> impl Iterator<Item = (&str, Instant)> {
        let all = self.models.iter().filter_map(|(model, marks)| Some((model.as_ref(), marks.cooling?.until)));
        all.filter(move |(_, until)| *until > now)
    }

    /// The models that are not for the credential now, and until when.
    pub fn barred(&self, now: Instant) -> impl Iterator<Item = (&str, Instant)> {
        let all = self.models.iter().filter_map(|(model, marks)| Some((model.as_ref(), marks.barred?.1)));
        all.filter(move |(_, until)| *until > now)
    }

    /// A rate limit of a model was hit, or announced. Gives the end of its cooldown.
    pub fn cool(&mut self, model: &str, length: Length, sent_at: Instant, now: Instant) -> Instant {
        let marks = self.marks(model, now);
        let cooldown = Cooldown::hit(marks.cooling, length, sent_at, now);
        marks.cooling = Some(cooldown);
        cooldown.until
    }

    /// The account is out of money or quota. Tells whether that is new.
    pub fn park(&mut self, reason: &str, now: Instant) -> bool {
        self.parked.replace(Parked { since: now, reason: reason.to_owned() }).is_none()
    }

    /// A model is not for the credential.
    pub fn bar(&mut self, model: &str, now: Instant) {
        self.marks(model, now).barred = Some((now, now + bounds::NOT_FOR_KEY));
    }

    /// An attempt with a model was answered: what began before it was sent is over. Tells whether anything was.
    pub fn served(&mut self, model: &str, sent_at: Instant) -> bool {
        let parked = self.parked.take_if(|parked| sent_at >= parked.since).is_some();
        let Some(marks) = self.models.get_mut(model) else { return parked };
        let cooling = marks.cooling.take_if(|one| one.is_over_by(sent_at)).is_some();
        let barred = marks.barred.take_if(|(since, _)| sent_at >= *since).is_some();
        if marks.until().is_none() {
            self.models.remove(model);
        }
        parked || cooling || barred
    }

    /// The account is there again: a probe passed.
    pub fn unpark(&mut self) -> bool {
        self.parked.take().is_some()
    }

    fn marks(&mut self, model: &str, now: Instant) -> &mut Marks {
        if !self.models.contains_key(model) && self.models.len() >= bounds::MODELS_MARKED_MAX {
            self.models.retain(|_, marks| marks.until().is_some_and(|until| until > now));
            let soonest = self.models.iter().min_by_key(|(_, marks)| marks.until()).map(|(model, _)| model.clone());
            if let Some(soonest) = soonest.filter(|_| self.models.len() >= bounds::MODELS_MARKED_MAX) {
                self.models.remove(&soonest);
            }
        }
        self.models.entry(model.into()).or_default()
    }

    /// What of it is to outlive the process.
    pub fn facts(&self, now: Now) -> Facts {
        let models = self.models.iter().filter(|(_, marks)| marks.until().is_some_and(|until| until > now.at));
        let models = models.map(|(model, marks)| ModelFact {
            model: model.to_string(),
            cooling: marks.cooling.filter(|one| one.until > now.at).map(|one| CoolingFact {
                began_ms: now.wall_of(one.began),
                until_ms: now.wall_of(one.until),
                strikes: one.strikes,
                said: one.said,
            }),
            barred_until_ms: marks.barred.filter(|(_, until)| *until > now.at).map(|(_, until)| now.wall_of(until)),
        });
        let parked = self.parked.as_ref();
        Facts {
            parked: parked.map(|one| ParkedFact { since_ms: now.wall_of(one.since), reason: one.reason.clone() }),
            rejected: None,
            models: models.collect(),
        }
    }

    /// What was stored, as far as it still holds. Nothing lasts longer than it could if it had begun now: the wall clock
    /// may have been set meanwhile.
    pub fn restored(facts: &Facts, now: Now) -> Self {
        let until = |ms: i64, most: std::time::Duration| {
            let until = now.instant_of(ms).min(now.at + most);
            (until > now.at).then_some(until)
        };
        let cooldown = |one: &CoolingFact| {
            let until = until(one.until_ms, bounds::COOLDOWN_DAY_MAX)?;
            Some(Cooldown { began: now.at, until, strikes: one.strikes, said: one.said })
        };
        let marks = |one: &ModelFact| Marks {
            cooling: one.cooling.as_ref().and_then(cooldown),
            barred: one.barred_until_ms.and_then(|ms| Some((now.at, until(ms, bounds::NOT_FOR_KEY)?))),
        };
        let models = facts.models.iter().map(|one| (one.model.as_str().into(), marks(one)));
        Self {
            parked: facts.parked.as_ref().map(|one| Parked { since: now.at, reason: one.reason.clone() }),
            models: models.filter(|(_, marks): &(_, Marks)| marks.until().is_some()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn now() -> Now {
        Now { at: Instant::now() + s(10_000), wall_ms: 1_800_000_000_000 }
    }

    #[test]
    fn one_model_cools_and_the_others_do_not() {
        let (mut one, now) = (Standing::default(), now().at);
        one.cool("m", Length::Hint(s(30)), now, now);
        assert_eq!(one.against("m", now + s(29)), Some(Against::Cooling { until: now + s(30), said: true }));
        assert_eq!((one.against("m", now + s(30)), one.against("n", now)), (None, None));
    }

    #[test]
    fn a_success_ends_what_began_before_it_was_sent() {
        let (mut one, now) = (Standing::default(), now().at);
        one.cool("m", Length::Hint(s(30)), now, now + s(1));
        one.bar("m", now + s(1));
        one.park("out of money", now + s(1));
        assert!(!one.served("m", now), "it was under way already");
        assert_eq!(one.against("m", now + s(2)), Some(Against::Parked));
        assert!(!one.clone().served("n", now));
        assert!(one.served("m", now + s(1)));
        assert!(one.is_clear());
    }

    #[test]
    fn the_most_lasting_reason_is_told_first() {
        let (mut one, now) = (Standing::default(), now().at);
        one.cool("m", Length::Unknown, now, now);
        one.bar("m", now);
        assert_eq!(one.against("m", now), Some(Against::NotForKey { until: now + s(3_600) }));
        one.park("402", now);
        assert_eq!((one.against("m", now), one.parked()), (Some(Against::Parked), Some("402")));
        assert!(one.unpark() && !one.unpark());
    }

    #[test]
    fn what_holds_is_restored_and_what_is_over_is_not() {
        let (mut one, now) = (Standing::default(), now());
        one.cool("short", Length::Hint(s(5)), now.at, now.at);
        one.cool("long", Length::Hint(s(600)), now.at, now.at);
        one.bar("barred", now.at);
        one.park("402", now.at);
        let facts = one.facts(now);
        // The process was away for a minute.
        let later = Now { at: Instant::now() + s(77), wall_ms: now.wall_ms + 60_000 };
        let back = Standing::restored(&facts, later);
        assert_eq!((back.parked(), back.models.len()), (Some("402"), 2));
        let mut back = back;
        back.unpark();
        assert_eq!(back.against("long", later.at), Some(Against::Cooling { until: later.at + s(540), said: true }));
        assert_eq!(back.against("barred", later.at), Some(Against::NotForKey { until: later.at + s(3_540) }));
        // A wall clock that was set back by years makes nothing last for years.
        let odd = Now { at: Instant::now(), wall_ms: 0 };
        let back = Standing::restored(&facts, odd);
        assert!(back.cooling(odd.at).all(|(_, until)| until <= odd.at + bounds::COOLDOWN_DAY_MAX));
    }

    #[test]
    fn made_up_models_are_bounded() {
        let (mut one, now) = (Standing::default(), now().at);
        for n in 0..3 * bounds::MODELS_MARKED_MAX {
            one.bar(&format!("m{n}"), now + Duration::from_millis(n as u64));
        }
        assert_eq!(one.models.len(), bounds::MODELS_MARKED_MAX);
        assert!(one.against(&format!("m{}", 3 * bounds::MODELS_MARKED_MAX - 1), now + s(4)).is_some());
    }
}
