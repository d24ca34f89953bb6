//! How long a rate limit makes an account leave a model alone. Pure: the time is an argument.

use std::time::Duration;

use crate::bounds;
use crate::clock::Instant;

/// A cooldown, until it is cleared: one that is over still tells how often in a row the limit was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// When the attempt that began or lengthened it came back. What was sent before says nothing against it.
    pub began: Instant,
    /// When it is over.
    pub until: Instant,
    /// Limits in a row that were hit without a hint.
    pub strikes: u32,
    /// Whether the provider said when, or Bursar guessed.
    pub said: bool,
}

/// What is known of how long a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The provider said how long.
    Hint(Duration),
    /// The provider's own reset, or the end of its day.
    Until(Instant),
    /// Nothing.
    Unknown,
}

impl Cooldown {
    /// The cooldown after a limit was hit by an attempt that was sent at a time. It never ends earlier than the one
    /// before.
    pub fn hit(before: Option<Self>, length: Length, sent_at: Instant, now: Instant) -> Self {
        let unknown = length == Length::Unknown;
        // What was under way when it began came of the same limit, and so did a last resort during it: only an attempt that
        // was sent after its end was wrong to think it over.
        let in_it = before.filter(|before| sent_at < before.until);
        let strikes = match (in_it, unknown) {
            (Some(before), true) => before.strikes.max(1),
            (None, true) => before.map_or(0, |before| before.strikes).saturating_add(1),
            (_, false) => before.map_or(0, |before| before.strikes),
        };
        let until = match length {
            Length::Hint(hint) => now + clamped(hint),
            Length::Until(until) => until.clamp(now + bounds::HINT_MIN, now + bounds::COOLDOWN_DAY_MAX),
            Length::Unknown => {
                before.map(|before| before.until).filter(|until| *until > now).unwrap_or(now + guess(strikes))
            }
        };
        let began = before.filter(|before| sent_at < before.began).map_or(now, |before| before.began);
        match before {
            Some(before) if before.until >= until => Self { began, strikes, ..before },
            _ => Self { began, until, strikes, said: !unknown },
        }
    }

    /// Whether a success of an attempt that was sent at a time shows that it is over.
    pub fn is_over_by(&self, sent_at: Instant) -> bool {
        sent_at >= self.began
    }
}

/// A hint within its bounds.
pub(super) fn clamped(hint: Duration) -> Duration {
    hint.clamp(bounds::HINT_MIN, bounds::HINT_MAX)
}

/// The length without a hint after so many in a row.
fn guess(strikes: u32) -> Duration {
    let doubled = bounds::COOLDOWN_GUESS.saturating_mul(2_u32.saturating_pow(strikes.saturating_sub(1)));
    doubled.min(bounds::COOLDOWN_GUESS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_hint_it_doubles_and_ten_at_once_are_one() {
        let begin = Instant::now();
        let mut cooldown = Cooldown::hit(None, Length::Unknown, begin, begin + s(1));
        for n in 2..12 {
            cooldown = Cooldown::hit(Some(cooldown), Length::Unknown, begin, begin + s(n));
        }
        assert_eq!((cooldown.until, cooldown.strikes), (begin + s(16), 1));
        // Nor does a last resort lengthen a guess.
        cooldown = Cooldown::hit(Some(cooldown), Length::Unknown, begin + s(12), begin + s(13));
        assert_eq!((cooldown.until, cooldown.strikes), (begin + s(16), 1));
        let late = Cooldown::hit(Some(cooldown), Length::Unknown, begin, begin + s(20));
        assert_eq!((late.until, late.strikes), (begin + s(35), 1), "what comes back late is no second strike");
        let (mut now, mut lengths) = (cooldown.until, Vec::new());
        for _ in 0..5 {
            cooldown = Cooldown::hit(Some(cooldown), Length::Unknown, now, now);
            lengths.push((cooldown.until - now).as_secs());
            now = cooldown.until;
        }
        assert_eq!(lengths, [30, 60, 120, 120, 120]);
        assert!(!cooldown.said);
    }

    #[test]
    fn hints_are_held_to_a_second_and_a_day() {
        let now = Instant::now();
        let length = |length| Cooldown::hit(None, length, now, now).until - now;
        assert_eq!(length(Length::Hint(Duration::ZERO)), s(1));
        assert_eq!(length(Length::Hint(Duration::from_millis(2_500))), Duration::from_millis(2_500));
        assert_eq!(length(Length::Hint(s(365 * 86_400))), s(86_400));
        assert_eq!(length(Length::Hint(Duration::MAX)), s(86_400));
        assert_eq!(length(Length::Until(now)), s(1));
        assert_eq!(length(Length::Until(now + s(365 * 86_400))), s(26 * 3_600));
    }

    #[test]
    fn only_what_was_sent_after_it_began_ends_it() {
        let begin = Instant::now();
        let cooldown = Cooldown::hit(None, Length::Hint(s(30)), begin, begin + s(2));
        assert!(!cooldown.is_over_by(begin + s(1)) && cooldown.is_over_by(begin + s(2)));
    }

    proptest! {
        #[test]
        fn it_only_ever_extends(hits in proptest::collection::vec((0..3_u8, 0..200_u64, 0..50_u64, 0..50_u64), 1..40)) {
            let mut now = Instant::now() + s(1_000);
            let mut cooldown: Option<Cooldown> = None;
            for (kind, length, back, on) in hits {
                now += s(on);
                let length = match kind {
                    0 => Length::Unknown,
                    1 => Length::Hint(s(length)),
                    _ => Length::Until(now + s(length)),
                };
                let next = Cooldown::hit(cooldown, length, now - s(back), now);
                prop_assert!(cooldown.is_none_or(|before| next.until >= before.until));
                prop_assert!(cooldown.is_none_or(|before| next.began >= before.began && next.strikes >= before.strikes));
                cooldown = Some(next);
            }
        }
    }
}
