//! What happened, for whoever watches: the last events, and those to come.
//!
//! Telling an event never waits for a reader: the one that is too far behind loses its place, and learns so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::api::Moment;
use crate::api::admin::{Event, EventKind};
use crate::bounds;
use crate::clock::Clock;

/// Ids in a millisecond: those of a later process are greater, as long as no more happens in one.
const IDS_PER_MS: u64 = 1_000;

/// The events of this process.
#[derive(Debug)]
pub struct Events {
    clock: Clock,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    next_id: u64,
    kept: VecDeque<Arc<Event>>,
    /// How many there were of each kind, in the order of all kinds.
    counts: [u64; EventKind::ALL.len()],
    /// The way to those who watch; none at the end.
    live: Option<broadcast::Sender<Arc<Event>>>,
}

/// What comes next for one reader; none where nothing will.
pub type Live = Option<broadcast::Receiver<Arc<Event>>>;

impl Events {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        let next_id = u64::try_from(clock.wall_ms()).unwrap_or_default().saturating_mul(IDS_PER_MS).saturating_add(1);
        let live = Some(broadcast::Sender::new(bounds::EVENTS_MAX));
        Self {
            clock,
            told: Mutex::new(Told { next_id, kept: VecDeque::new(), counts: [0; EventKind::ALL.len()], live }),
        }
    }

    /// Tells of an event: gives it its id and its time. Waits for nobody.
    pub fn emit(&self, event: Event) {
        let mut event = Event { at: Moment(self.clock.wall_ms()), ..event };
        event.message.truncate(event.message.floor_char_boundary(bounds::EVENT_TEXT_BYTES_MAX));
        let mut told = self.told();
        event.id = told.next_id;
        told.next_id += 1;
        let place = EventKind::ALL.iter().position(|kind| *kind == event.kind);
        if let Some(count) = place.and_then(|place| told.counts.get_mut(place)) {
            *count += 1;
        }
        let event = Arc::new(event);
        let oldest = if told.kept.len() < bounds::EVENTS_MAX { None } else { told.kept.pop_front() };
        told.kept.push_back(Arc::clone(&event));
        if let Some(live) = &told.live {
            // Without anybody who watches it is kept all the same.
            let _ = live.send(event);
        }
        drop(told);
        drop(oldest);
    }

    /// The kept events, and all that come after them.
    pub fn follow(&self) -> (Vec<Arc<Event>>, Live) {
        let told = self.told();
        (told.kept.iter().cloned().collect(), told.live.as_ref().map(broadcast::Sender::subscribe))
    }

    /// How many there were of each kind.
    pub fn counts(&self) -> impl Iterator<Item = (EventKind, u64)> + use<> {
        EventKind::ALL.iter().copied().zip(self.told().counts)
    }

    /// Ends every reader's stream, and those that begin later after what is kept.
    pub fn close(&self) {
        self.told().live = None;
    }

    /// Held for a few pushes, or for copying as many pointers as are kept.
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    fn events() -> Events {
        Events::new(Clock::fixed(1_700_000_000_000))
    }

    fn tell(events: &Events, count: usize) {
        (0..count).for_each(|n| events.emit(Event::new(EventKind::Back, n.to_string())));
    }

    #[test]
    fn events_are_kept_within_the_bound_and_count_up() {
        let events = events();
        tell(&events, bounds::EVENTS_MAX + 5);
        let (kept, _) = events.follow();
        assert_eq!((kept.len(), kept[0].message.as_str()), (bounds::EVENTS_MAX, "5"));
        let told = u64::try_from(bounds::EVENTS_MAX + 5).unwrap();
        assert!(events.counts().all(|(kind, count)| count == if kind == EventKind::Back { told } else { 0 }));
        assert!(kept.windows(2).all(|two| two[1].id == two[0].id + 1));
        assert_eq!(kept[0].at, Moment(1_700_000_000_000));
        assert!(kept[0].id < 1 << 53, "JavaScript reads it");
        let later = Events::new(Clock::fixed(1_700_000_060_000));
        tell(&later, 1);
        assert!(later.follow().0[0].id > kept.last().unwrap().id);
    }

    #[test]
    fn a_reader_who_does_not_read_loses_its_place_and_nobody_waits() {
        let events = events();
        let (_, live) = events.follow();
        tell(&events, bounds::EVENTS_MAX * 3);
        assert!(matches!(live.unwrap().try_recv(), Err(TryRecvError::Lagged(_))));
    }

    #[test]
    fn the_end_is_told_to_all_who_watch() {
        let events = events();
        let (_, live) = events.follow();
        let mut live = live.unwrap();
        tell(&events, 1);
        events.close();
        assert!(live.try_recv().is_ok());
        assert_eq!(live.try_recv().unwrap_err(), TryRecvError::Closed);
        tell(&events, 1);
        assert!(matches!(events.follow(), (kept, None) if kept.len() == 2));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let events = events();
        events.emit(Event::new(EventKind::Back, "é".repeat(bounds::EVENT_TEXT_BYTES_MAX)));
        assert_eq!(events.follow().0[0].message.len(), bounds::EVENT_TEXT_BYTES_MAX);
    }
}
