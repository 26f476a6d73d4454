//! Metrics of the process, read from `/proc/self`. Where `/proc` does not exist, they are left out.

use std::fs;

use super::exposition::Exposition;

/// The used fields of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    threads: u64,
    /// The start of the process, in seconds after the start of the machine.
    started: f64,
}

impl Stat {
    /// Parses the fields after the command, which may itself contain spaces and brackets.
    fn parse(text: &str, ticks: f64) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |n: usize| fields.get(n)?.parse::<u64>().ok();
        Some(Self {
            cpu_seconds: (field(11)? + field(12)?) as f64 / ticks,
            threads: field(17)?,
            started: field(19)? as f64 / ticks,
        })
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// Adds every metric that can be read.
pub fn report(page: &mut Exposition) {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let read = |path: &str| fs::read_to_string(path).ok();
    if let Some(stat) = read("/proc/self/stat").and_then(|text| Stat::parse(&text, ticks)) {
        page.counter(
            "process_cpu_seconds_total",
            "User and system CPU time.",
            stat.cpu_seconds,
        );
        page.gauge("process_threads", "Threads.", stat.threads);
        if let Some(boot) = read("/proc/stat").as_deref().and_then(boot_time) {
            let help = "Start time of the process, in seconds since 1970.";
            page.gauge("process_start_time_seconds", help, boot + stat.started);
        }
    }
    if let Some((virtual_pages, resident_pages)) =
        read("/proc/self/statm").as_deref().and_then(pages)
    {
        let page_size = rustix::param::page_size() as u64;
        page.gauge(
            "process_virtual_memory_bytes",
            "Virtual memory.",
            virtual_pages * page_size,
        );
        page.gauge(
            "process_resident_memory_bytes",
            "Resident memory.",
            resident_pages * page_size,
        );
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The listing itself has the folder open.
        let open = files.count().saturating_sub(1);
        page.gauge("process_open_fds", "Open files and sockets.", open);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    page.gauge(
        "process_max_fds",
        "Maximum number of open files and sockets.",
        limit.unwrap_or(u64::MAX),
    );
}

fn pages(statm: &str) -> Option<(u64, u64)> {
    let mut fields = statm.split_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_spaces_is_parsed() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 1000 4096 12 0";
        let stat = Stat::parse(text, 100.0).unwrap();
        assert!((stat.cpu_seconds - 2.0).abs() < 1e-9);
        assert_eq!(stat.threads, 9);
        assert!((stat.started - 10.0).abs() < 1e-9);
        assert!(Stat::parse("7 (a) S 1", 100.0).is_none());
    }

    #[test]
    fn this_process_has_all_of_it() {
        let mut page = Exposition::default();
        report(&mut page);
        let text = page.finish();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is missing in {text}"))
                .parse()
                .unwrap()
        };
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!((now - value("process_start_time_seconds")).abs() < 3600.0);
        assert!(
            value("process_open_fds") >= 3.0
                && value("process_open_fds") <= value("process_max_fds")
        );
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0 && value("process_cpu_seconds_total") >= 0.0);
    }
}
