//! The process as the system sees it, under the names that every Prometheus client library gives it. Linux tells them in `/proc`; what
//! cannot be read is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::write::{BYTES, Family, SECONDS};

static OPEN_FDS: Family = Family::gauge("open_fds", "File descriptors that are open.");
static MAX_FDS: Family = Family::gauge("max_fds", "File descriptors that may be.");
static RESIDENT: Family = Family::gauge("resident_memory", "Memory that is resident.").in_unit(&BYTES);
static CPU: Family = Family::counter("cpu", "Processor time, of user and system.").in_unit(&SECONDS);

/// Clock ticks in a second as `/proc` counts them (`USER_HZ`, proc(5)): 100 on every system that Rust's standard library runs on.
const TICKS: f64 = 100.0;

/// Reads `/proc` anew at each scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        if let Some(open) = open_fds() {
            OPEN_FDS.only(encoder, &ConstGauge::new(open))?;
        }
        if let Ok((soft, _)) = rlimit::Resource::NOFILE.get() {
            MAX_FDS.only(encoder, &ConstGauge::new(soft))?;
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)) {
            RESIDENT.only(encoder, &ConstGauge::new(bytes))?;
        }
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu(&stat)) {
            CPU.only(encoder, &ConstCounter::new(seconds))?;
        }
        Ok(())
    }
}

/// How many descriptors are open: the folder's size says it since Linux 6.2, before that its entries have to be counted.
fn open_fds() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => u64::try_from(fs::read_dir(folder).ok()?.count()).ok(),
        count => Some(count),
    }
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `utime` and `stime` of `/proc/self/stat`, in seconds. They are counted behind the name, which may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_found_among_what_proc_says() {
        assert_eq!(resident("Name:\tx\nVmHWM:\t   900 kB\nVmRSS:\t   812 kB\n"), Some(812 << 10));
        assert_eq!(resident("Name:\tx\n"), None);
        let stat = "1 (a ) b) S 0 1 1 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 3 0 100 0 0";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(cpu("1 (x) S 0"), None);
    }
}
