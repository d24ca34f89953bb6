//! How an attempt ended, taken into the state: the one place that feeds the machine.

use super::HealthState;
use super::account::{Account, Soon};
use super::cooldown::Length;
use super::effect::{Effect, effect, shows_life};
use super::standing::Against;
use crate::adapter::Hints;
use crate::api::Outcome;
use crate::bounds;
use crate::clock::{Instant, Now};
use crate::connection::Connection;
use crate::connection::day::Day;

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The model that was asked for; none where none was, as a test of the connection does.
    pub model: Option<&'a str>,
    /// When it was sent.
    pub sent_at: Instant,
    /// Its class.
    pub outcome: Outcome,
    /// Why it failed, sanitised.
    pub message: Option<&'a str>,
    /// Whether the provider answered at all.
    pub reached: bool,
    /// Whether it ended because the app gave it no more time: that is nobody else's fault, and an impatient app must not
    /// shut a connection for the others.
    pub cut_short: bool,
    /// What the provider said of its limits.
    pub hints: &'a Hints,
}

/// What the end of an attempt turned, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The model cools until then, and did not before.
    Cooling {
        /// Until when.
        until: Instant,
    },
    /// The account is out of money or quota.
    Parked,
    /// The provider refused the credential.
    Rejected,
    /// It failed too often, and its breaker opened.
    Opened,
    /// What stood against it is over.
    Back,
}

impl Connection {
    /// The account whose quota it uses: its limit group's, or its own.
    pub fn account(&self) -> &Account {
        self.account.as_deref().unwrap_or(&self.health.own)
    }

    /// What speaks against a model now, its breaker left out. Where it shares an account, only its key is its own.
    pub fn against(&self, model: &str, now: Instant) -> Option<Against> {
        let own = self.health.own.against(model, now);
        match &self.account {
            None => own,
            Some(account) => {
                own.filter(|why| matches!(why, Against::NotForKey { .. })).or_else(|| account.against(model, now))
            }
        }
    }

    /// Takes in how an attempt ended, with everything that it says of the connection and of its account. What that turned
    /// comes back.
    pub fn observe(&self, ended: &Ended<'_>, now: Now) -> Option<News> {
        let Ended { outcome, message, sent_at, .. } = *ended;
        let newly_rejected = self.health.observe(self.generation, outcome, now.wall_ms, message);
        let news = match effect(outcome) {
            Effect::Served => {
                let closed = self.health.breaker(|breaker| breaker.answered(sent_at, now.at));
                (self.served(ended) || closed).then_some(News::Back)
            }
            Effect::Failed if ended.cut_short => None,
            Effect::Failed => {
                let opened = self.health.breaker(|breaker| breaker.failed(sent_at, now.at));
                if opened {
                    tracing::warn!(connection = %self.id, "it fails too often, and is left alone for a while");
                }
                opened.then_some(News::Opened)
            }
            Effect::CoolShort => self.cool(ended, self.short(ended.hints), now),
            Effect::CoolDay => self.cool(ended, self.day(ended.hints, now), now),
            Effect::Park => self.park(message.unwrap_or(outcome.name()), now).then_some(News::Parked),
            Effect::Reject => {
                if newly_rejected {
                    tracing::warn!(connection = %self.id, "its provider refuses the secret: it is not used any more");
                    self.health.own.report(Soon::Now);
                }
                newly_rejected.then_some(News::Rejected)
            }
            Effect::Bar => {
                self.bar(ended, now);
                None
            }
            Effect::None => None,
        };
        if ended.reached && shows_life(outcome) {
            self.health.breaker(|breaker| breaker.alive(sent_at));
        }
        // What is used up now will refuse the next request, whether this one was served or not.
        if outcome == Outcome::Ok
            && let Some(reset) = ended.hints.exhausted()
        {
            return self.cool(ended, Length::Hint(reset), now).or(news);
        }
        news
    }

    /// The answer to an attempt has begun: whatever comes of it, the breaker shuts nobody out any more.
    pub fn answers(&self, sent_at: Instant) {
        self.health.breaker(|breaker| breaker.alive(sent_at));
    }

    /// A test passed: what a list of models can tell is cleared. It says nothing of rate limits. Tells whether anything
    /// was.
    pub fn passed(&self, now: Now) -> bool {
        let rejected = self.health.state() == HealthState::Rejected;
        self.health.passed(self.generation);
        self.health.breaker(|breaker| breaker.alive(now.at));
        let unparked = self.account().change(|standing| standing.unpark());
        if unparked {
            self.account().report(Soon::Now);
        }
        unparked || (rejected && self.health.state() == HealthState::Ok)
    }

    /// An operator wants it to be tried, whatever was said of it and of its account.
    pub fn clear(&self) {
        self.health.clear();
        if self.account.is_some() {
            self.account().change(|standing| *standing = Default::default());
            self.account().report(Soon::Now);
        }
    }

    fn park(&self, reason: &str, now: Now) -> bool {
        let account = self.account();
        let parked = account.change(|standing| standing.park(reason, now.at));
        if parked {
            tracing::warn!(connection = %self.id, reason, "its account is out of money or quota, and is parked");
        }
        account.report(Soon::Now);
        parked
    }

    fn bar(&self, ended: &Ended<'_>, now: Now) {
        let Some(model) = ended.model else { return };
        self.health.own.change(|standing| standing.bar(model, now.at));
        self.health.own.report(Soon::Tick);
    }

    fn served(&self, ended: &Ended<'_>) -> bool {
        let Some(model) = ended.model else { return false };
        let mut back = false;
        for account in [self.account.as_deref(), Some(&self.health.own)].into_iter().flatten() {
            if account.is_marked() && account.change(|standing| standing.served(model, ended.sent_at)) {
                account.report(Soon::Tick);
                back = true;
            }
        }
        back
    }

    fn cool(&self, ended: &Ended<'_>, length: Length, now: Now) -> Option<News> {
        let model = ended.model?;
        let account = self.account();
        let before = account.against(model, now.at);
        let until = account.change(|standing| standing.cool(model, length, ended.sent_at, now.at));
        let long = until.saturating_duration_since(now.at) >= bounds::COOLDOWN_STORED_AT_ONCE;
        account.report(if long { Soon::Now } else { Soon::Tick });
        before.is_none().then_some(News::Cooling { until })
    }

    fn short(&self, hints: &Hints) -> Length {
        hints.retry_after.or_else(|| hints.exhausted()).map_or(Length::Unknown, Length::Hint)
    }

    /// The end of the provider's day: what its own header for the day says; else midnight where its days begin, or a hint
    /// that is longer. A shorter one is about a minute, and the day is used up.
    fn day(&self, hints: &Hints, now: Now) -> Length {
        if let Some(reset) = hints.day_exhausted().and_then(|day| day.resets_in) {
            return Length::Until(now.at + super::cooldown::clamped(reset));
        }
        let midnight = Day::of(now.wall_ms, &self.day_resets).map(|day| now.until(day.ends_ms));
        let hint = hints.retry_after.map(super::cooldown::clamped);
        midnight.max(hint).map_or(Length::Unknown, |length| Length::Until(now.at + length))
    }
}
