//! The breaker of one connection: shut out while it fails, then tried with one request at a time. Pure: the time is an
//! argument.

use std::time::Duration;

use crate::bounds;
use crate::clock::Instant;

/// Parts of the window: it moves on in steps of 10 s.
const PARTS: usize = 6;

/// A breaker. What an attempt says counts by when it was sent: a word on the time before the breaker opened neither opens
/// it further nor closes it.
#[derive(Debug, Default)]
pub struct Breaker {
    window: Window,
    in_a_row: u32,
    last_failure: Option<Instant>,
    /// How often it opened since it was last closed.
    openings: u32,
    shut: Option<Shut>,
}

#[derive(Debug, Clone, Copy)]
struct Shut {
    since: Instant,
    until: Instant,
    /// Whether the one probe of a half-open breaker is under way.
    probing: bool,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Requests pass.
    Closed,
    /// None passes until then.
    Open {
        /// When one may try.
        until: Instant,
    },
    /// One may try.
    HalfOpen,
}

/// What a breaker says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It passes.
    Free,
    /// It passes as the one probe, and must say how it ended or [`Breaker::leave`].
    Probe,
    /// It does not pass.
    Shut {
        /// When one may try; in the past while a probe is under way.
        until: Instant,
    },
}

impl Breaker {
    /// Whether requests pass.
    pub fn is_closed(&self) -> bool {
        self.shut.is_none()
    }

    /// How it stands.
    pub fn stand(&self, now: Instant) -> Stand {
        match self.shut {
            None => Stand::Closed,
            Some(shut) if now < shut.until => Stand::Open { until: shut.until },
            Some(_) => Stand::HalfOpen,
        }
    }

    /// How a request would be let in now.
    pub fn entry(&self, now: Instant) -> Entry {
        match self.shut {
            None => Entry::Free,
            Some(shut) if now < shut.until || shut.probing => Entry::Shut { until: shut.until },
            Some(_) => Entry::Probe,
        }
    }

    /// Lets a request in, or not.
    pub fn enter(&mut self, now: Instant) -> Entry {
        let entry = self.entry(now);
        if let (Entry::Probe, Some(shut)) = (&entry, &mut self.shut) {
            shut.probing = true;
        }
        entry
    }

    /// Takes back a probe that came to nothing: the next request may be one.
    pub fn leave(&mut self) {
        if let Some(shut) = &mut self.shut {
            shut.probing = false;
        }
    }

    /// Takes in that an attempt failed through the provider or the way to it. Tells whether that opened it.
    pub fn failed(&mut self, sent_at: Instant, now: Instant) -> bool {
        if let Some(shut) = self.shut {
            // Those that were sent before it could be tried again tell nothing new.
            if sent_at >= shut.until {
                self.open(now);
            }
            return false;
        }
        let recent = |last: Instant| now.saturating_duration_since(last) <= bounds::BREAKER_WINDOW;
        self.in_a_row = if self.last_failure.is_some_and(recent) { self.in_a_row + 1 } else { 1 };
        self.last_failure = Some(now);
        self.window.add(now, |part| part.failed += 1);
        let (attempts, failed) = self.window.sum(now);
        let many = attempts >= bounds::BREAKER_ATTEMPTS_MIN && failed * 2 >= attempts;
        if self.in_a_row >= bounds::BREAKER_IN_A_ROW || many {
            self.open(now);
        }
        self.shut.is_some()
    }

    /// Takes in that an attempt was answered as it should be. Tells whether that closed it.
    pub fn answered(&mut self, sent_at: Instant, now: Instant) -> bool {
        let closed = self.shut.is_some();
        self.alive(sent_at);
        let closed = closed && self.shut.is_none();
        if self.shut.is_none() {
            self.in_a_row = 0;
            self.window.add(now, |part| part.answered += 1);
        }
        closed
    }

    /// Takes in that the provider is there, though it refused: enough to close an open breaker, and nothing to count.
    pub fn alive(&mut self, sent_at: Instant) {
        if self.shut.is_some_and(|shut| sent_at >= shut.since) {
            *self = Self::default();
        }
    }

    fn open(&mut self, now: Instant) {
        let doubled = bounds::BREAKER_OPEN.saturating_mul(2_u32.saturating_pow(self.openings));
        self.openings = self.openings.saturating_add(1);
        let until = now + doubled.min(bounds::BREAKER_OPEN_MAX);
        self.shut = Some(Shut { since: now, until, probing: false });
    }
}

/// How attempts ended of late.
#[derive(Debug, Default)]
struct Window {
    /// When the first part began; parts are counted from there.
    epoch: Option<Instant>,
    parts: [Part; PARTS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Part {
    number: u64,
    answered: u32,
    failed: u32,
}

impl Window {
    fn number(&self, now: Instant) -> u64 {
        let length = bounds::BREAKER_WINDOW / u32::try_from(PARTS).unwrap_or(1);
        let since = self.epoch.map_or(Duration::ZERO, |epoch| now.saturating_duration_since(epoch));
        u64::try_from(since.as_millis() / length.as_millis().max(1)).unwrap_or(u64::MAX)
    }

    fn add(&mut self, now: Instant, count: impl FnOnce(&mut Part)) {
        self.epoch.get_or_insert(now);
        let number = self.number(now);
        let place = usize::try_from(number % PARTS as u64).unwrap_or(0);
        if let Some(part) = self.parts.get_mut(place) {
            if part.number != number {
                *part = Part { number, ..Part::default() };
            }
            count(part);
        }
    }

    /// Attempts and failures in it.
    fn sum(&self, now: Instant) -> (u32, u32) {
        let number = self.number(now);
        let recent = self.parts.iter().filter(|part| number - part.number.min(number) < PARTS as u64);
        recent.fold((0, 0), |(attempts, failed), part| (attempts + part.answered + part.failed, failed + part.failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened(begin: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        let opens: Vec<_> = (0..5).map(|n| breaker.failed(begin + s(n), begin + s(n))).collect();
        assert_eq!(opens, [false, false, false, false, true]);
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let begin = Instant::now();
        let mut breaker = Breaker::default();
        for n in 0..4 {
            breaker.failed(begin + s(n), begin + s(n));
        }
        breaker.answered(begin + s(4), begin + s(4));
        for n in 5..9 {
            breaker.failed(begin + s(n), begin + s(n));
            assert_eq!(breaker.stand(begin + s(n)), Stand::Closed, "{n}");
        }
        breaker.failed(begin + s(9), begin + s(9));
        assert_eq!(breaker.stand(begin + s(9)), Stand::Open { until: begin + s(24) });
    }

    #[test]
    fn half_of_ten_in_a_minute_open_it_and_older_ones_count_no_more() {
        let begin = Instant::now();
        let mixed = |step: u64| {
            let mut breaker = Breaker::default();
            for n in 0..10 {
                let at = begin + s(n * step);
                if n % 2 == 0 {
                    breaker.answered(at, at);
                } else {
                    breaker.failed(at, at);
                }
            }
            breaker.stand(begin + s(9 * step))
        };
        assert!(matches!(mixed(1), Stand::Open { .. }));
        assert_eq!(mixed(10), Stand::Closed, "never ten in one minute");
    }

    #[test]
    fn failures_far_apart_are_no_run() {
        let begin = Instant::now();
        let mut breaker = Breaker::default();
        for n in 0..20 {
            breaker.failed(begin + s(n * 61), begin + s(n * 61));
        }
        assert_eq!(breaker.stand(begin + s(20 * 61)), Stand::Closed);
    }

    #[test]
    fn one_probe_at_a_time_and_its_failure_doubles_the_pause_up_to_its_bound() {
        let begin = Instant::now();
        let mut breaker = opened(begin);
        let mut now = begin + s(4);
        for pause in [15, 30, 60, 120, 240, 300, 300] {
            assert_eq!(breaker.enter(now + s(pause) - s(1)), Entry::Shut { until: now + s(pause) });
            now += s(pause);
            assert_eq!(breaker.stand(now), Stand::HalfOpen);
            assert_eq!(breaker.enter(now), Entry::Probe);
            assert!(matches!(breaker.enter(now), Entry::Shut { .. }), "a second one waits for the first");
            breaker.failed(now, now);
        }
        now += s(300);
        assert_eq!(breaker.enter(now), Entry::Probe);
        breaker.leave();
        assert_eq!(breaker.enter(now), Entry::Probe, "one that came to nothing leaves its place");
        breaker.answered(now, now);
        assert_eq!((breaker.stand(now), breaker.enter(now)), (Stand::Closed, Entry::Free));
    }

    #[test]
    fn what_was_sent_before_it_opened_says_nothing() {
        let begin = Instant::now();
        let mut breaker = opened(begin);
        breaker.failed(begin, begin + s(5));
        breaker.answered(begin, begin + s(5));
        assert_eq!(breaker.stand(begin + s(5)), Stand::Open { until: begin + s(19) });
        // A refusal of the probe's request shows that the provider is there.
        breaker.alive(begin + s(19));
        assert_eq!(breaker.stand(begin + s(20)), Stand::Closed);
    }
}
