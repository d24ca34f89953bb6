//! Which segments there are, and which are open: the one that is written, and one more at a time.
//!
//! What must stay true: a segment is opened only under the lock of the cold slot, so it is never opened twice at once;
//! and a search in the segment that is written never makes the writer wait.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::disk::Disk;
use super::rollups::Position;
use super::segment::{Name, Segment};
use super::{Notices, RecordError, StoreError, files};
use crate::api::UsageRecord;
use crate::bounds;
use crate::clock::Clock;

/// The segments of a directory.
pub(super) struct Segments {
    root: PathBuf,
    disk: Disk,
    notices: Notices,
    names: Mutex<BTreeSet<Name>>,
    appending: Mutex<()>,
    active: Mutex<Option<Arc<Segment>>>,
    cold: Mutex<Option<Arc<Segment>>>,
    /// Whether the cold one was searched since that was last asked.
    searched: AtomicBool,
    /// The last one that left the active slot: a search may still be in it.
    left: Mutex<Weak<Segment>>,
    /// The segment in which the last append failed.
    failed: Mutex<Option<Name>>,
    /// Bytes of values that a segment may grow to.
    bytes_max: u64,
}

impl Segments {
    /// Looks at what there is, and clears away what a crash left half made or half removed.
    pub(super) fn open(root: &Path, disk: Disk, notices: Notices, bytes_max: u64) -> io::Result<Self> {
        let is_new = !root.is_dir();
        files::private_directory(root)?;
        if is_new {
            // What will be acknowledged in it must not go with it when the power goes.
            files::sync_parent(root)?;
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let text = file_name.to_string_lossy();
            if let Ok(name) = text.parse() {
                names.insert(name);
            } else if text.ends_with(".new") || text.ends_with(".removing") {
                files::remove_directory(&entry.path())?;
            }
        }
        Ok(Self {
            root: root.into(),
            disk,
            notices,
            names: Mutex::new(names),
            appending: Mutex::default(),
            active: Mutex::default(),
            cold: Mutex::default(),
            searched: AtomicBool::new(false),
            left: Mutex::default(),
            failed: Mutex::default(),
            bytes_max,
        })
    }

    /// The names of all segments of these days, oldest first.
    pub(super) fn names(&self, days: RangeInclusive<i64>) -> Vec<Name> {
        locked(&self.names).iter().copied().filter(|name| days.contains(&name.day)).collect()
    }

    /// The directories beside the segments whose names end so.
    pub(super) fn beside(&self, suffix: &str) -> io::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(suffix)) {
                all.push(entry.path());
            }
        }
        all.sort();
        Ok(all)
    }

    /// Appends records of one day, ordered by id, and tells where they are. Durable when this returns.
    pub(super) fn append(&self, day: i64, records: &[&UsageRecord]) -> Result<Position, StoreError> {
        let _one_at_a_time = locked(&self.appending);
        self.disk.check()?;
        // Once more in a new segment, if the one that was there turned out to be damaged.
        match self.append_to_latest(day, records) {
            Err(StoreError::Damaged { .. }) => self.append_to_latest(day, records),
            result => result,
        }
    }

    fn append_to_latest(&self, day: i64, records: &[&UsageRecord]) -> Result<Position, StoreError> {
        let latest = self.names(day..=day).pop();
        let active = locked(&self.active).clone();
        if let Some(segment) = active.as_ref().filter(|active| Some(active.name()) == latest && self.has_room(active)) {
            return self.append_to(segment, records);
        }
        let late = active.is_some_and(|active| day < active.name().day);
        let mut cold = locked(&self.cold);
        let segment = match latest {
            Some(name) => self.open_one(&mut cold, name)?.filter(|segment| self.has_room(segment)),
            None => None,
        };
        let segment = match segment {
            Some(segment) => segment,
            None => self.create(&mut cold, day)?,
        };
        if !late {
            self.activate(&mut cold, segment.clone());
        }
        drop(cold);
        self.append_to(&segment, records)
    }

    fn append_to(&self, segment: &Segment, records: &[&UsageRecord]) -> Result<Position, StoreError> {
        let name = segment.name();
        let appended = self.checked(name, segment.append(records));
        // What may have been written is replaced by the next try, which must find the same segment.
        *locked(&self.failed) = appended.is_err().then_some(name);
        appended.map(|commit| Position { part: name.part, commit })
    }

    fn has_room(&self, segment: &Segment) -> bool {
        let bounded = segment.bytes() >= self.bytes_max || segment.blocks_count() >= bounds::USAGE_SEGMENT_BLOCKS_MAX;
        !bounded || *locked(&self.failed) == Some(segment.name())
    }

    /// Moves a segment from the cold slot to the active one.
    fn activate(&self, cold: &mut Option<Arc<Segment>>, segment: Arc<Segment>) {
        *cold = None;
        if let Some(old) = locked(&self.active).replace(segment) {
            *locked(&self.left) = Arc::downgrade(&old);
        }
    }

    /// Shows a segment to a search; none if it is damaged, which is then set aside. The cold slot stays locked as long
    /// as the search is in it, so that no more than two are open.
    pub(super) fn look<T>(
        &self,
        name: Name,
        search: impl FnOnce(&Segment) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let active = locked(&self.active).clone().filter(|active| active.name() == name);
        let found = match active {
            Some(segment) => self.checked(name, search(&segment)),
            None => {
                let mut cold = locked(&self.cold);
                self.searched.store(true, Ordering::Relaxed);
                let Some(segment) = self.open_one(&mut cold, name)? else { return Ok(None) };
                let found = search(&segment);
                drop(segment);
                drop(cold);
                self.checked(name, found)
            }
        };
        match found {
            Err(StoreError::Damaged { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Opens a segment in the cold slot, if it is not open already; none if it is gone or was set aside.
    fn open_one(&self, cold: &mut Option<Arc<Segment>>, name: Name) -> Result<Option<Arc<Segment>>, StoreError> {
        let active = locked(&self.active).clone();
        let left = locked(&self.left).upgrade();
        let open = [active, cold.clone(), left].into_iter().flatten().find(|open| open.name() == name);
        if open.is_some() {
            return Ok(open);
        }
        if !locked(&self.names).contains(&name) {
            return Ok(None);
        }
        *cold = None;
        match Segment::open(name, &self.path(name)) {
            Ok(segment) => Ok(Some(cold.insert(Arc::new(segment)).clone())),
            Err(error @ StoreError::Record(RecordError::Format { .. })) => {
                locked(&self.names).remove(&name);
                self.notices.add(format!("the usage segment {} is left alone: {error}", self.path(name).display()));
                Ok(None)
            }
            Err(error @ (StoreError::Damaged { .. } | StoreError::Record(_))) => {
                self.set_aside(name, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the next part of a day, and opens it in the cold slot.
    fn create(&self, cold: &mut Option<Arc<Segment>>, day: i64) -> Result<Arc<Segment>, StoreError> {
        let failed = |error| StoreError::failed("create a segment", error);
        let name = Name { day, part: self.next_part(day).map_err(failed)? };
        *cold = None;
        Segment::create(&self.path(name))?;
        let segment = Arc::new(Segment::open(name, &self.path(name))?);
        locked(&self.names).insert(name);
        *cold = Some(segment.clone());
        Ok(segment)
    }

    /// The part after all that the day ever had, those that were set aside too: places in a day's records never come
    /// twice.
    fn next_part(&self, day: i64) -> io::Result<u32> {
        let mut next = 0;
        for entry in fs::read_dir(&self.root)? {
            let file_name = entry?.file_name();
            let text = file_name.to_string_lossy();
            let name = text.split_once(".damaged-").map_or(&*text, |(name, _)| name);
            if let Some(name) = name.parse().ok().filter(|name: &Name| name.day == day) {
                next = next.max(name.part + 1);
            }
        }
        Ok(next)
    }

    /// Lets go of a segment that failed: damaged, it is set aside; else it is opened anew when it is next needed.
    fn checked<T>(&self, name: Name, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let error = match result {
            Err(error @ (StoreError::Damaged { .. } | StoreError::Record(_) | StoreError::Failed { .. })) => error,
            other => return other,
        };
        self.close(name);
        if matches!(error, StoreError::Failed { .. }) {
            return Err(error);
        }
        self.set_aside(name, &error);
        Err(StoreError::Damaged { reason: error.to_string() })
    }

    fn close(&self, name: Name) {
        for slot in [&self.active, &self.cold] {
            let mut slot = locked(slot);
            if slot.as_ref().is_some_and(|open| open.name() == name) {
                *slot = None;
            }
        }
    }

    /// Renames a damaged segment, so that serving goes on, and says so.
    fn set_aside(&self, name: Name, error: &StoreError) {
        if !locked(&self.names).remove(&name) {
            return;
        }
        let now_s = Clock::system().wall_ms() / 1_000;
        let from = self.path(name);
        let to = files::beside(&from, &format!("damaged-{now_s}"));
        let moved = files::rename(&from, &to);
        let what = match &moved {
            Ok(()) => format!("it is now {}", to.display()),
            Err(error) => format!("it could not be renamed: {error}"),
        };
        self.notices.add(format!("the usage segment {} was set aside: {error}; {what}", from.display()));
    }

    /// Removes the segments of the days before this one, and what was set aside of them; tells how many.
    pub(super) fn remove_before(&self, day: i64) -> io::Result<usize> {
        let old = self.names(0..=day.saturating_sub(1));
        old.iter().try_for_each(|&name| self.remove(name))?;
        for (path, name) in self.set_aside_ones()? {
            if name.day < day {
                files::remove_directory(&path)?;
            }
        }
        Ok(old.len())
    }

    /// Removes the oldest segments while all of them take more than so many bytes of disk, but the newest; tells how
    /// many.
    pub(super) fn remove_beyond(&self, bytes_max: u64) -> io::Result<usize> {
        let mut sizes = Vec::new();
        for name in self.names(0..=i64::MAX) {
            sizes.push((name, files::bytes_on_disk(&self.path(name))?));
        }
        let mut all: u64 = sizes.iter().map(|&(_, bytes)| bytes).sum();
        sizes.pop();
        let mut removed = 0;
        for (name, bytes) in sizes {
            if all <= bytes_max {
                break;
            }
            self.remove(name)?;
            all = all.saturating_sub(bytes);
            removed += 1;
        }
        Ok(removed)
    }

    fn remove(&self, name: Name) -> io::Result<()> {
        let _cold = {
            self.close(name);
            locked(&self.cold)
        };
        locked(&self.names).remove(&name);
        let removing = files::beside(&self.path(name), "removing");
        files::rename(&self.path(name), &removing)?;
        files::remove_directory(&removing)
    }

    fn set_aside_ones(&self) -> io::Result<Vec<(PathBuf, Name)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let name = file_name.to_str().and_then(|text| text.split_once(".damaged-"));
            if let Some(name) = name.and_then(|(name, _)| name.parse().ok()) {
                all.push((entry.path(), name));
            }
        }
        Ok(all)
    }

    /// Closes the cold segment if it was not searched since the last call.
    pub(super) fn close_idle(&self) {
        let mut cold = locked(&self.cold);
        if !self.searched.swap(false, Ordering::Relaxed) {
            *cold = None;
        }
    }

    fn path(&self, name: Name) -> PathBuf {
        self.root.join(name.to_string())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
