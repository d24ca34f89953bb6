//! The demo's daemon as a child process.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running daemon. Unless it is left alone, it ends with its value.
pub(super) struct Process {
    child: Child,
    left: bool,
}

impl Process {
    /// Starts this very program as a daemon. Of the environment it sees the named variables and nothing else.
    pub(super) fn start(config: &Path, log: File, variables: impl Iterator<Item = &'static str>) -> io::Result<Self> {
        let variables = variables.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(config)
            .arg("serve")
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is the demo's to hear: it stops the daemon in order.
            .process_group(0)
            .spawn()?;
        Ok(Self { child, left: false })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop.
    pub(super) fn ask_to_stop(&self) {
        // A daemon that ended already needs no telling; its id is its own until it has been waited for.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Lets it run on, and gives its id.
    pub(super) fn leave(mut self) -> u32 {
        self.left = true;
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.left {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
