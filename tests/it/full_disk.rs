//! A disk that is really full under a real daemon: calls go on, records wait, and come to the disk without a restart.
//!
//! Only root can mount a small file system; for others `usage::recorder::tests` covers what an injected figure can.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, soon};

/// A small file system, as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs"]).arg(at).output();
        mounted.ok().filter(|output| output.status.success()).map(|_| Self(at.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).unwrap();
        for chunk in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![1; chunk]).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

async fn asked(bursar: &Bursar, path: &str) -> Value {
    let reply = bursar.call(Call::get(path)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Waits until so many records wait to be stored.
async fn queued(bursar: &Bursar, count: u64) {
    let poll = async {
        while asked(bursar, "/admin/v1/status").await["usage"]["queued"] != count {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon("records to wait, or to be stored", poll).await;
}

#[tokio::test]
async fn calls_go_on_while_the_disk_is_full_and_their_records_follow() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]);
    let place = setup.place();
    let Some(disk) = SmallDisk::mount(&place.store()) else {
        eprintln!("no small file system can be mounted here");
        return;
    };
    let bursar = Bursar::start(place).await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    assert_eq!(asked(&bursar, "/admin/v1/usage?by=connection").await["totals"]["requests"], 1);

    let filler = disk.fill();
    for _ in 0..30 {
        assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    }
    queued(&bursar, 30).await;
    let usage = asked(&bursar, "/admin/v1/usage?by=connection").await;
    assert_eq!(usage["totals"]["requests"], 1, "what could be stored is still told");
    assert_eq!(asked(&bursar, "/admin/v1/status").await["usage"]["lost"], 0);

    fs::remove_file(filler).unwrap();
    queued(&bursar, 0).await;
    for step in ["none", "minute", "hour", "day"] {
        let usage = asked(&bursar, &format!("/admin/v1/usage?step={step}")).await;
        assert_eq!(usage["totals"]["requests"], 31, "by {step}");
    }
    let remains = bursar.stop().await;
    assert_eq!(remains.records().len(), 31);
    let again = remains.restart().await;
    assert_eq!(asked(&again, "/admin/v1/usage?by=connection").await["totals"]["requests"], 31);
    let _remains = again.stop().await;
    drop(disk);
}
