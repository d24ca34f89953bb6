//! `bursar store backup` and `bursar store restore`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::passphrase::Sealed;
use super::{asked, offline};
use crate::api::Moment;
use crate::cli::exit::{Exit, Failed, Outcome};
use crate::cli::output::Output;
use crate::cli::{Global, runtime};
use crate::credential::BackupKey;
use crate::store::{self, BackupError, Counts, Inspected};

/// Write everything that is stored into one sealed file, while the daemon goes on
///
/// The file opens with its passphrase, or key, on any host and with any master key: keep both apart. It is written under
/// another name, read through to its end, and only then gets its own; mode 0600.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// Where to write it; nothing may be there yet
    file: PathBuf,
    #[command(flatten)]
    sealed: Sealed,
}

/// Put a backup in the place of what is stored; the daemon must not run
///
/// The whole backup is read first. What is stored now is kept, in a directory beside it. The credentials are sealed anew
/// under this host's master key, which must be there (`bursar keys init` writes one). Interrupted at any moment, either
/// the old store is there or the restored one.
#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// The backup
    file: PathBuf,
    /// Read it to its end, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sealed: Sealed,
}

impl Backup {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        if self.file.symlink_metadata().is_ok() {
            return Err(Failed::data(format!("{} is there already, and is kept", self.file.display())));
        }
        let (key, request) = self.sealed.fresh()?;
        let fresh = Fresh::create(&self.file)?;
        let through = runtime()?.block_on(async {
            let mut to = BufWriter::new(&fresh.file);
            let answer = global.admin()?.at_work().download("/admin/v1/store/backup", &request, &mut to).await;
            let answer = asked(answer)?;
            to.flush().map_err(|error| unwritten(&fresh.path, &error))?;
            Ok::<_, Failed>(answer)
        })?;
        if through.is_none() {
            // No daemon runs: the directory is read itself.
            let write = |store: &store::Store| store.backup(&key, BufWriter::new(&fresh.file)).map_err(failed);
            offline::with_store(global, write)?;
        }
        let inspected = fresh.put_in_place(&self.file, &key)?;
        out.done(&shown(&self.file, &inspected), &format!("{} holds {}", self.file.display(), told(&inspected.counts)));
        Ok(Exit::Ok)
    }
}

impl Restore {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        let unread = |error: io::Error| Failed::data(format!("{} cannot be read: {error}", self.file.display()));
        let mut input = File::open(&self.file).map_err(unread)?;
        let head = store::backup_head(&mut input).map_err(failed)?;
        let key = self.sealed.of(head.lock)?;
        input.rewind().map_err(unread)?;
        if self.dry_run {
            let inspected = store::inspect(BufReader::new(input), &key).map_err(failed)?;
            let said = format!("{} is whole, and holds {}", self.file.display(), told(&inspected.counts));
            out.done(&shown(&self.file, &inspected), &said);
            return Ok(Exit::Ok);
        }
        let (dir, masters) = offline::place(global)?;
        let [master] = masters.as_slice() else {
            return Err(Failed::state("there are two master keys: bring `bursar keys rotate` to its end first"));
        };
        offline::become_owner(&dir)?;
        let restored = store::restore(&dir, master, &key, input).map_err(failed)?;
        let kept = restored.kept.as_ref();
        let was =
            kept.map_or_else(String::new, |kept| format!("; what was there before is kept in {}", kept.display()));
        let said = format!("{} holds {} again{was}", dir.display(), told(&restored.backup.counts));
        out.done(&json!({ "backup": shown(&self.file, &restored.backup), "kept": kept }), &said);
        Ok(Exit::Ok)
    }
}

fn told(counts: &Counts) -> String {
    let many = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    format!(
        "{} with {}, as of change {}, and {} of usage",
        many(counts.records, "record"),
        many(counts.credentials, "credential"),
        counts.generation,
        many(counts.segments, "segment")
    )
}

fn shown(file: &Path, inspected: &Inspected) -> serde_json::Value {
    let Inspected { head, counts } = inspected;
    json!({
        "file": file, "created_at": Moment(head.created_ms), "written_by": head.writer, "generation": counts.generation,
        "records": counts.records, "credentials": counts.credentials, "volatile": counts.volatile,
        "segments": counts.segments, "blocks": counts.blocks, "rollup_bytes": counts.rollup_bytes,
    })
}

/// A file that is being written under another name: nobody else's, and gone if it does not get its own.
struct Fresh {
    file: File,
    path: PathBuf,
}

impl Fresh {
    fn create(target: &Path) -> Result<Self, Failed> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| unwritten(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Reads it through, makes it durable, and gives it its name, unless something has that by now.
    fn put_in_place(mut self, target: &Path, key: &BackupKey) -> Result<Inspected, Failed> {
        let failed_io = |error| unwritten(target, &error);
        self.file.sync_all().map_err(failed_io)?;
        self.file.rewind().map_err(failed_io)?;
        let inspected = store::inspect(BufReader::new(&self.file), key).map_err(failed)?;
        fs::hard_link(&self.path, target).map_err(failed_io)?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed_io)?;
        Ok(inspected)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failed {
    let exit = if error.kind() == io::ErrorKind::StorageFull { Exit::Busy } else { Exit::Data };
    Failed::new(exit, format!("{} cannot be written: {error}", path.display()))
}

fn failed(error: BackupError) -> Failed {
    match error {
        BackupError::Open(error) => offline::failed(error),
        BackupError::Store(store::StoreError::Full { .. }) => Failed::new(Exit::Busy, error.to_string()),
        BackupError::Store(_) => Failed::state(error.to_string()),
        other => Failed::data(other.to_string()),
    }
}
