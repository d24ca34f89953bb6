//! The process itself, under the names that all of Prometheus' client libraries use.

use super::text::{Kind, Millis, Text};

/// The kernel counts a process's time in hundredths of a second, whatever its own tick (`times(2)`).
const TICK_MS: i64 = 10;

pub(super) fn put(text: &mut Text, started_ms: i64) {
    let status = read("/proc/self/status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
    };
    if let Some(kib) = kib("VmRSS") {
        let help = "Memory that is resident.";
        text.one("process_resident_memory_bytes", Kind::Gauge, "bytes", help, kib.saturating_mul(1_024));
    }
    if let Some(kib) = kib("VmSize") {
        let help = "Memory that is mapped.";
        text.one("process_virtual_memory_bytes", Kind::Gauge, "bytes", help, kib.saturating_mul(1_024));
    }
    if let Some(threads) = kib("Threads") {
        text.one("process_threads", Kind::Gauge, "", "Threads.", threads);
    }
    if let Some(ticks) = cpu_ticks(&read("/proc/self/stat")) {
        let help = "Processor time, of user and system.";
        text.one("process_cpu_seconds", Kind::Counter, "seconds", help, Millis(ticks.saturating_mul(TICK_MS)));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is that of this very look.
        let open = open.count().saturating_sub(1);
        text.one("process_open_fds", Kind::Gauge, "", "Open file descriptors.", open);
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        text.one("process_max_fds", Kind::Gauge, "", "How many may be open.", most);
    }
    let help = "When it began to serve.";
    text.one("process_start_time_seconds", Kind::Gauge, "seconds", help, Millis(started_ms));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The 14th and 15th field of `/proc/self/stat`, counted behind the program's name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<i64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<i64>().ok();
    Some(next()?.saturating_add(next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_behind_a_name_that_misleads() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 500 0 0 0 123 45 0 0 20 0 3 0 100 1000 200";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(cpu_ticks(""), None);
        assert!(cpu_ticks(&read("/proc/self/stat")).is_some());
    }
}
