//! The rollups of a day while they are counted: three files that frames are appended to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame, Reader};
use super::{Lengths, Position, Tier};
use crate::store::disk::Disk;
use crate::store::files::Fresh;
use crate::store::{StoreError, files};

/// The files of a day. What is appended is durable when the call returns.
pub struct Log {
    dir: PathBuf,
    day: i64,
    disk: Disk,
    tiers: [TierLog; 3],
}

#[derive(Clone, Copy, Default)]
struct TierLog {
    /// Where the last whole commit ends.
    length: u64,
    /// The records that it takes in; none if none were.
    position: Option<Position>,
}

impl Log {
    pub(super) fn new(dir: PathBuf, day: i64, disk: Disk) -> Self {
        Self { dir, day, disk, tiers: Default::default() }
    }

    /// Looks where the last whole commit of each file ends; what follows was cut off by a crash.
    pub(super) fn resume(dir: PathBuf, day: i64, disk: Disk) -> Result<Self, StoreError> {
        let mut log = Self::new(dir, day, disk);
        for (tier, at) in Tier::ALL.into_iter().zip(&mut log.tiers) {
            let path = log.dir.join(tier.name());
            // What was written anew and not put in place.
            files::remove_file(&files::beside(&path, "new")).map_err(not_rewritten)?;
            *at = last_commit(&path, day, tier)?;
        }
        Ok(log)
    }

    /// The day.
    pub fn day(&self) -> i64 {
        self.day
    }

    /// The records that a tier takes in; none if none were.
    pub fn position(&self, tier: Tier) -> Option<Position> {
        self.of(tier).position
    }

    /// How long a tier's file is.
    pub fn length(&self, tier: Tier) -> u64 {
        self.of(tier).length
    }

    /// How long the files are.
    pub fn lengths(&self) -> Lengths {
        self.tiers.map(|tier| tier.length)
    }

    /// Appends what more there is up to a position, as one commit: after a crash all of it counts, or nothing.
    ///
    /// # Errors
    /// When the disk is full, or the file cannot be made durable. The next call takes the place of what was written.
    pub fn append(&mut self, tier: Tier, frames: &[Frame], position: Position) -> Result<(), StoreError> {
        self.disk.check()?;
        let begin = self.of(tier).length;
        let mut bytes = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            let at = begin + bytes.len() as u64;
            bytes.extend(frame::to_bytes(frame, self.day, tier, at, position, n + 1 == frames.len())?);
        }
        self.write(tier, begin, &bytes).map_err(|error| StoreError::failed("write rollups", error))?;
        self.set(tier, TierLog { length: begin + bytes.len() as u64, position: Some(position) });
        Ok(())
    }

    fn write(&self, tier: Tier, begin: u64, bytes: &[u8]) -> io::Result<()> {
        let file = files::private_file(&self.dir.join(tier.name()))?;
        // Half a commit that is left from before must not stand behind a shorter one.
        file.set_len(begin)?;
        file.write_all_at(bytes, begin)?;
        file.sync_all()?;
        if begin == 0 { files::sync_directory(&self.dir) } else { Ok(()) }
    }

    /// Begins to write a tier's file anew; none if it has nothing.
    ///
    /// # Errors
    /// When the disk is full, or the file cannot be made.
    pub fn rewrite(&self, tier: Tier) -> Result<Option<Rewrite>, StoreError> {
        self.disk.check()?;
        let Some(position) = self.position(tier) else { return Ok(None) };
        let file = Fresh::create(&self.dir.join(tier.name())).map_err(not_rewritten)?;
        Ok(Some(Rewrite { file, day: self.day, tier, position, at: 0, held: None }))
    }

    /// Puts what was written anew in the place of the tier's file, as one commit with the position that it had: after a
    /// crash all of it is there, or what was there before.
    ///
    /// # Errors
    /// When it cannot be made durable. Then the file is one of the two, and is gone on with.
    pub fn replace(&mut self, mut rewrite: Rewrite) -> Result<(), StoreError> {
        let held = rewrite.held.take();
        held.map_or(Ok(()), |held| rewrite.write(&held, true))?;
        let Rewrite { file, tier, position, at, .. } = rewrite;
        let replaced = match file.put_in_place() {
            Ok(_) => Ok(TierLog { length: at, position: Some(position) }),
            Err(error) => last_commit(&self.dir.join(tier.name()), self.day, tier).and_then(|found| {
                self.set(tier, found);
                Err(not_rewritten(error))
            }),
        }?;
        self.set(tier, replaced);
        Ok(())
    }

    fn set(&mut self, tier: Tier, found: TierLog) {
        Tier::ALL.into_iter().zip(&mut self.tiers).filter(|(other, _)| *other == tier).for_each(|(_, at)| *at = found);
    }

    fn of(&self, tier: Tier) -> TierLog {
        Tier::ALL.into_iter().zip(self.tiers).find(|&(other, _)| other == tier).map(|(_, at)| at).unwrap_or_default()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn moved(&mut self, dir: PathBuf) {
        self.dir = dir;
    }
}

/// A tier's file that is written anew beside the old one.
pub struct Rewrite {
    file: Fresh,
    day: i64,
    tier: Tier,
    position: Position,
    at: u64,
    /// The last frame: only one that none follows says that it is the last.
    held: Option<Frame>,
}

impl Rewrite {
    /// Writes one more frame.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, frame: Frame) -> Result<(), StoreError> {
        match self.held.replace(frame) {
            Some(held) => self.write(&held, false),
            None => Ok(()),
        }
    }

    fn write(&mut self, frame: &Frame, last: bool) -> Result<(), StoreError> {
        let bytes = frame::to_bytes(frame, self.day, self.tier, self.at, self.position, last)?;
        self.at += bytes.len() as u64;
        self.file.write(&bytes).map_err(not_rewritten)
    }
}

fn not_rewritten(error: io::Error) -> StoreError {
    StoreError::failed("write rollups anew", error)
}

/// Where the last whole commit of a file ends. Only what was written last can be half written, so only that is looked
/// at whole.
fn last_commit(path: &Path, day: i64, tier: Tier) -> Result<TierLog, StoreError> {
    let failed = |error| StoreError::failed("open rollups", error);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(TierLog::default()),
        file => file.map_err(failed)?,
    };
    let length = file.metadata().map_err(failed)?.len();
    let (mut commits, mut frames) = (vec![TierLog::default()], Vec::new());
    let mut last_frames = Vec::new();
    let mut reader = Reader::new(&file, day, tier, length);
    while let Ok(Some(found)) = reader.next() {
        let (end, last, position) = (found.end, found.head.last, found.head.position);
        frames.push(found);
        if last {
            commits.push(TierLog { length: end, position: Some(position) });
            last_frames = std::mem::take(&mut frames);
        }
    }
    let whole =
        last_frames.iter().all(|found| found.head.sections.iter().all(|&(kind, _)| reader.is_whole(found, kind)));
    if !whole {
        commits.pop();
    }
    Ok(commits.pop().unwrap_or_default())
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.dir.display())
    }
}
