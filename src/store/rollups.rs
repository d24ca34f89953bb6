//! Rollups on the disk: for each UTC day of records a directory with three files, one a tier, that only ever grow.
//!
//! ```text
//! usage/2026-11-29.rollups/minutes    what the day's records amount to, by the minute
//! usage/2026-11-29.rollups/hours
//! usage/2026-11-29.rollups/days
//! usage/2026-11-29.rollups/complete   how long the files are, once the day is over; as long as it is not, no such file
//! ```
//!
//! They are files and no database: what is written once and read from its begin to its end needs none, an open database
//! would cost memory all the time, and a file of its own lets a tier be forgotten without the others.
//!
//! A file holds frames. Each says what *more* there is up to a [`Position`] among the day's records, so that one that is
//! lost at the end of a file is found in the records again. A frame has sections: the same sums by more and by fewer
//! dimensions, of which a question reads the smallest that will do. What is in a section is the caller's business.

mod frame;
mod log;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use frame::{Frame, Head, PackedSums};
pub use log::Log;

use self::frame::Reader;
use super::disk::Disk;
use super::record::{self, Record, RecordError};
use super::{Notices, StoreError, files, segment};
use crate::clock::Clock;

/// A place in the records of a day: everything up to and with this commit, in the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The part of the day, a segment.
    pub part: u32,
    /// The commit in it.
    pub commit: u64,
}

/// How finely time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// By the minute.
    Minutes,
    /// By the hour.
    Hours,
    /// By the day.
    Days,
}

impl Tier {
    /// All of them, from the finest up.
    pub const ALL: [Self; 3] = [Self::Minutes, Self::Hours, Self::Days];

    /// The width of its buckets in milliseconds.
    pub const fn width_ms(self) -> i64 {
        match self {
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
            Self::Days => 86_400_000,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Days => "days",
        }
    }
}

/// How long the file of each tier is; 0 where there is none.
pub type Lengths = [u64; 3];

/// The rollups of all days. All calls block.
pub struct Rollups {
    root: PathBuf,
    disk: Disk,
    notices: Notices,
    /// Each day that has some; with the lengths of its files if it is over, and they were asked for.
    days: Mutex<BTreeMap<i64, State>>,
    /// How often rollups were begun.
    begun: AtomicU64,
}

#[derive(Clone, Copy)]
enum State {
    Counting,
    Complete(Option<Lengths>),
}

impl Rollups {
    /// Looks at what there is. What was marked as out of date is removed: it is made again from the records.
    pub(super) fn open(root: &Path, disk: Disk, notices: Notices) -> io::Result<Self> {
        let mut days = BTreeMap::new();
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            let Some(day) = path.file_name().and_then(|name| name.to_str()).and_then(day_of_name) else { continue };
            if path.join(STALE).exists() {
                files::remove_directory(&path)?;
                continue;
            }
            let complete = path.join(COMPLETE).exists();
            days.insert(day, if complete { State::Complete(None) } else { State::Counting });
        }
        Ok(Self { root: root.into(), disk, notices, days: Mutex::new(days), begun: AtomicU64::new(0) })
    }

    /// The days that have rollups, with whether they are complete: no more records of theirs are expected.
    pub fn days(&self) -> BTreeMap<i64, bool> {
        self.locked().iter().map(|(&day, state)| (day, matches!(state, State::Complete(_)))).collect()
    }

    /// How long a complete day's files are; none if it has no rollups, or is being counted.
    ///
    /// # Errors
    /// When that cannot be read, or a file is shorter.
    pub fn lengths(&self, day: i64) -> Result<Option<Lengths>, StoreError> {
        match self.locked().get(&day) {
            Some(State::Complete(Some(lengths))) => return Ok(Some(*lengths)),
            Some(State::Complete(None)) => {}
            Some(State::Counting) | None => return Ok(None),
        }
        let dir = self.dir(day);
        let bytes = fs::read(dir.join(COMPLETE)).map_err(|error| gone("read what a day's rollups are", &error))?;
        let Completion(lengths) = record::decode(&day.to_be_bytes(), &bytes)?;
        for (tier, length) in Tier::ALL.into_iter().zip(lengths).filter(|&(_, length)| length > 0) {
            let found = fs::metadata(dir.join(tier.name())).map_or(0, |file| file.len());
            if found < length {
                let reason = format!("{} has {found} bytes of {length}", tier.name());
                return Err(StoreError::Damaged { reason });
            }
        }
        if let Some(state @ State::Complete(_)) = self.locked().get_mut(&day) {
            *state = State::Complete(Some(lengths));
        }
        Ok(Some(lengths))
    }

    /// Begins the rollups of a day anew, beside what there may be.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn begin(&self, day: i64) -> Result<Log, StoreError> {
        let failed = |error| StoreError::failed("begin the rollups of a day", error);
        // Two may count the same day anew at once.
        let n = self.begun.fetch_add(1, Ordering::Relaxed);
        let dir = files::beside(&self.dir(day), &format!("{n}.new"));
        files::remove_directory(&dir).map_err(failed)?;
        files::private_directory(&dir).map_err(failed)?;
        Ok(Log::new(dir, day, self.disk.clone()))
    }

    /// Puts rollups that were begun anew in the place of what there was.
    ///
    /// # Errors
    /// When the directory cannot be renamed.
    pub fn publish(&self, log: &mut Log) -> Result<(), StoreError> {
        let dir = self.dir(log.day());
        self.put_away(&dir, "removing")
            .and_then(|old| {
                files::rename(log.dir(), &dir)?;
                old.map_or(Ok(()), |old| files::remove_directory(&old))
            })
            .map_err(|error| StoreError::failed("publish the rollups of a day", error))?;
        log.moved(dir);
        self.locked().insert(log.day(), State::Counting);
        Ok(())
    }

    /// Goes on with the rollups of a day, from the last whole frames; none if there are none.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn resume(&self, day: i64) -> Result<Option<Log>, StoreError> {
        if !self.locked().contains_key(&day) {
            return Ok(None);
        }
        let dir = self.dir(day);
        let failed = |error| StoreError::failed("go on with the rollups of a day", error);
        match fs::remove_file(dir.join(COMPLETE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) => files::sync_directory(&dir).map_err(failed)?,
            Err(_) => {}
        }
        self.locked().insert(day, State::Counting);
        Log::resume(dir, day, self.disk.clone()).map(Some)
    }

    /// Says that no more records of a day are expected.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub fn complete(&self, log: &Log) -> Result<(), StoreError> {
        self.disk.check()?;
        self.write_completion(log.day(), log.lengths())
    }

    fn write_completion(&self, day: i64, lengths: Lengths) -> Result<(), StoreError> {
        let value = record::encode(&day.to_be_bytes(), &Completion(lengths))?;
        files::replace(&self.dir(day).join(COMPLETE), &value)
            .map_err(|error| StoreError::failed("complete the rollups of a day", error))?;
        self.locked().insert(day, State::Complete(Some(lengths)));
        Ok(())
    }

    /// Opens the file of a day's tier, of which so many bytes are to be read. What takes its place later does not show.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn frames(&self, day: i64, tier: Tier, end: u64) -> Result<Frames, StoreError> {
        let open = || File::open(self.dir(day).join(tier.name())).map_err(|error| gone("open rollups", &error));
        let file = if end == 0 { None } else { Some(open()?) };
        Ok(Frames { file, day, tier, end })
    }

    /// Marks a day's rollups as out of date, durably: they are made again, now or after a crash.
    ///
    /// # Errors
    /// When the mark cannot be made.
    pub fn mark_stale(&self, day: i64) -> Result<(), StoreError> {
        if !self.locked().contains_key(&day) {
            return Ok(());
        }
        files::replace(&self.dir(day).join(STALE), b"")
            .map_err(|error| StoreError::failed("mark the rollups of a day", error))
    }

    /// Removes the rollups of a day, all tiers.
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub fn remove(&self, day: i64) -> Result<(), StoreError> {
        self.locked().remove(&day);
        let removed = self
            .put_away(&self.dir(day), "removing")
            .and_then(|old| old.map_or(Ok(()), |old| files::remove_directory(&old)));
        removed.map_err(|error| StoreError::failed("remove old rollups", error))
    }

    /// Forgets a tier of a complete day. A day that has none left is gone.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self, day: i64, tier: Tier) -> Result<bool, StoreError> {
        let Some(mut lengths) = self.lengths(day)? else { return Ok(false) };
        let mut had = false;
        for (kept, length) in Tier::ALL.into_iter().zip(&mut lengths) {
            if kept == tier {
                had = std::mem::take(length) > 0;
            }
        }
        if lengths == [0; 3] {
            self.remove(day)?;
        } else if had {
            self.write_completion(day, lengths)?;
            fs::remove_file(self.dir(day).join(tier.name()))
                .map_err(|error| StoreError::failed("remove old rollups", error))?;
        }
        Ok(had)
    }

    /// Sets one tier of a complete day aside that is damaged, and says so; the others stay.
    ///
    /// # Errors
    /// When it cannot be written down that the tier is gone.
    pub fn set_tier_aside(&self, day: i64, tier: Tier, error: &StoreError) -> Result<(), StoreError> {
        let Some(mut lengths) = self.lengths(day)? else { return Ok(()) };
        Tier::ALL.into_iter().zip(&mut lengths).filter(|(one, _)| *one == tier).for_each(|(_, length)| *length = 0);
        self.write_completion(day, lengths)?;
        let from = self.dir(day).join(tier.name());
        let to = files::beside(&from, &format!("damaged-{}", Clock::system().wall_ms() / 1_000));
        let what = match files::rename(&from, &to) {
            Ok(()) => format!("they are now {}", to.display()),
            Err(error) => format!("they could not be renamed: {error}"),
        };
        self.notices.add(format!("the rollups {} were set aside: {error}; {what}", from.display()));
        Ok(())
    }

    /// Sets a day's rollups aside that are damaged, and says so.
    pub fn set_aside(&self, day: i64, error: &StoreError) {
        if self.locked().remove(&day).is_none() {
            return;
        }
        let from = self.dir(day);
        let what = match self.put_away(&from, &format!("damaged-{}", Clock::system().wall_ms() / 1_000)) {
            Ok(Some(to)) => format!("they are now {}", to.display()),
            Ok(None) => String::from("they are gone"),
            Err(error) => format!("they could not be renamed: {error}"),
        };
        self.notices.add(format!("the rollups {} were set aside: {error}; {what}", from.display()));
    }

    /// Removes what was set aside of the days before this one.
    ///
    /// # Errors
    /// When a directory cannot be read or removed.
    pub fn remove_set_aside_before(&self, day: i64) -> Result<(), StoreError> {
        self.remove_aside(day).map_err(|error| StoreError::failed("remove old rollups", error))
    }

    fn remove_aside(&self, day: i64) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once(".damaged-"));
            if name.and_then(|(name, _)| day_of_name(name)).is_some_and(|of| of < day) {
                files::remove_directory(&path)?;
            }
        }
        Ok(())
    }

    /// Renames a directory, if it is there; to a name that is free.
    fn put_away(&self, dir: &Path, suffix: &str) -> io::Result<Option<PathBuf>> {
        if !dir.exists() {
            return Ok(None);
        }
        let to = files::beside(dir, suffix);
        files::remove_directory(&to)?;
        files::rename(dir, &to)?;
        Ok(Some(to))
    }

    fn dir(&self, day: i64) -> PathBuf {
        self.root.join(format!("{}{SUFFIX}", segment::date(day)))
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<i64, State>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frames of a file.
pub struct Frames {
    file: Option<File>,
    day: i64,
    tier: Tier,
    end: u64,
}

impl Frames {
    /// Shows sections of the frames. `choose` tells the section of each frame that is wanted.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged; and whatever the visitor says.
    pub fn read(
        &self,
        choose: impl FnMut(&Head) -> Option<u8>,
        visitor: impl FnMut(&Head, PackedSums<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &self.file {
            Some(file) => Reader::new(file, self.day, self.tier, self.end).sections(choose, visitor),
            None => Ok(()),
        }
    }
}

const SUFFIX: &str = ".rollups";
const COMPLETE: &str = "complete";
const STALE: &str = "stale";

fn day_of_name(name: &str) -> Option<i64> {
    segment::day_of_date(name.strip_suffix(SUFFIX)?)
}

/// A file that should be there and is not is damage; any other failure is the system's.
fn gone(action: &str, error: &io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::NotFound {
        StoreError::Damaged { reason: "a file is missing".into() }
    } else {
        StoreError::failed(action, error)
    }
}

/// How long the files of a complete day are.
struct Completion(Lengths);

impl Record for Completion {
    const KIND: &'static str = "completion of rollups";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, &self.0)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        record::from_bytes(Self::KIND, body).map(Self)
    }
}

impl std::fmt::Debug for Rollups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rollups")
    }
}
