//! Builds the page that `/metrics` returns.

use super::exposition::{Exposition, Labels};
use super::process;
use super::requests::{Requests, RouteCounts};
use crate::http::app::connections::Connections;
use crate::sessions::metrics::ServiceMetrics;

/// Builds the page.
pub(crate) fn report(
    requests: &Requests,
    connections: &Connections,
    metrics: &ServiceMetrics<'_>,
) -> String {
    let mut page = Exposition::default();
    build(&mut page);
    answered(&mut page, requests, connections);
    commits(&mut page, metrics);
    journal(&mut page, metrics);
    sessions(&mut page, metrics);
    live(&mut page, metrics);
    process::report(&mut page);
    page.finish()
}

fn build(page: &mut Exposition) {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("profile", profile)];
    page.info(
        "session_storage_build_info",
        "Version and profile of the build.",
        &labels,
    );
}

fn answered(page: &mut Exposition, requests: &Requests, connections: &Connections) {
    let rows = requests.read();
    let labels = |row: &RouteCounts| {
        [
            ("route", row.route),
            ("method", row.method),
            ("status", row.class),
        ]
    };
    let labels: Vec<_> = rows.iter().map(labels).collect();
    let all = labels
        .iter()
        .zip(&rows)
        .map(|(labels, row)| (labels as Labels<'_>, &row.took));
    page.histograms(
        "session_storage_http_request_duration_seconds",
        "Time until the response began; for streams, until the handshake.",
        all,
    );
    page.counters(
        "session_storage_errors_total",
        "Requests that were refused or failed, by error code.",
        "code",
        requests.errors.read(),
    );
    page.gauge(
        "session_storage_http_connections",
        "Open connections.",
        connections.count(),
    );
    let help =
        "Maximum number of connections: MAX_CONNECTIONS, or what the limit of open files permits.";
    page.gauge(
        "session_storage_http_connections_max",
        help,
        connections.most(),
    );
    page.counter(
        "session_storage_http_connections_ended_total",
        "Idle connections that were closed to make room for others.",
        connections.closed_for_others(),
    );
}

fn commits(page: &mut Exposition, metrics: &ServiceMetrics<'_>) {
    let counted = metrics.store;
    for (name, help, histogram) in [
        (
            "session_storage_commit_events",
            "Events per commit.",
            &counted.group_events,
        ),
        (
            "session_storage_commit_bytes",
            "Bytes of the journal per commit.",
            &counted.group_bytes,
        ),
        (
            "session_storage_commit_duration_seconds",
            "Duration of commits: journal, sync and logs.",
            &counted.commit_time,
        ),
        (
            "session_storage_commit_sync_duration_seconds",
            "Duration of the sync of a commit; empty unless STORAGE_SYNC is `always`.",
            &counted.sync_time,
        ),
        (
            "session_storage_commit_wait_duration_seconds",
            "How long the first event of a commit waited for it.",
            &counted.wait_time,
        ),
        (
            "session_storage_checkpoint_duration_seconds",
            "Duration of checkpoints.",
            &counted.checkpoint_time,
        ),
    ] {
        page.histogram(name, help, &histogram.read());
    }
    let failures = [
        ("full", counted.full.get()),
        ("write", counted.unwritten.get()),
        ("sync", counted.unsynced.get()),
    ];
    let help = "Commits that failed; none of their events was accepted.";
    page.counters(
        "session_storage_commit_failures_total",
        help,
        "reason",
        failures,
    );
    let (events, bytes) = metrics.waiting;
    page.gauge(
        "session_storage_pending_events",
        "Events that wait for the next commit.",
        events,
    );
    page.gauge(
        "session_storage_pending_bytes",
        "Bytes that wait for the next commit.",
        bytes,
    );
}

fn journal(page: &mut Exposition, metrics: &ServiceMetrics<'_>) {
    let (segments, bytes) = metrics.journal;
    let (free, size) = metrics.disk;
    page.gauge(
        "session_storage_journal_segments",
        "Segments of the journal.",
        segments,
    );
    let help = "Size of the journal, including the space allocated for its newest segment.";
    page.gauge("session_storage_journal_bytes", help, bytes);
    let written = metrics.store.journal_bytes.get();
    page.counter(
        "session_storage_journal_written_bytes_total",
        "Bytes written to the journal.",
        written,
    );
    let logged = metrics.store.log_bytes.get();
    page.counter(
        "session_storage_log_written_bytes_total",
        "Bytes appended to the sessions' logs.",
        logged,
    );
    page.gauge(
        "session_storage_offset",
        "Offset of the newest durable event.",
        metrics.offset,
    );
    page.gauge(
        "session_storage_disk_free_bytes",
        "Free space on the file system.",
        free,
    );
    page.gauge(
        "session_storage_disk_size_bytes",
        "Size of the file system.",
        size,
    );
    let help = "1 after a sync has failed: no write is accepted until a restart.";
    page.gauge(
        "session_storage_storage_failed",
        help,
        u8::from(metrics.failed),
    );
}

fn sessions(page: &mut Exposition, metrics: &ServiceMetrics<'_>) {
    let (total, completed) = metrics.sessions;
    let states = [
        ("active", (total - completed) as u64),
        ("completed", completed as u64),
    ];
    page.gauges(
        "session_storage_sessions",
        "Stored sessions.",
        "status",
        &states,
    );
    page.gauge(
        "session_storage_sessions_loaded",
        "Sessions in memory.",
        metrics.loaded,
    );
    let help = "Quarantined sessions: their files are damaged.";
    page.gauge(
        "session_storage_sessions_quarantined",
        help,
        metrics.quarantined,
    );
    let help = "Sessions whose files cannot be read, written or completed now; their events are in the journal.";
    page.gauge("session_storage_sessions_behind", help, metrics.behind);
    let help = "Sessions whose snapshots are not written yet.";
    page.gauge(
        "session_storage_snapshots_pending",
        help,
        metrics.awaiting_snapshots,
    );
}

fn live(page: &mut Exposition, metrics: &ServiceMetrics<'_>) {
    let followers = metrics.followers;
    let counted = metrics.live;
    let transports = [
        ("websocket", followers.connections as u64),
        ("event_stream", followers.streams as u64),
    ];
    page.gauges(
        "session_storage_subscribers",
        "Live subscribers.",
        "transport",
        &transports,
    );
    let help = "Subscribers that are too slow for the events in memory and read from disk.";
    page.gauge(
        "session_storage_subscribers_lagging",
        help,
        metrics.lag.lagging,
    );
    let help = "Lag of the slowest subscriber, in offsets; events of other sessions count too.";
    page.gauge(
        "session_storage_subscriber_lag_max",
        help,
        metrics.lag.furthest,
    );
    for (name, help, count) in [
        (
            "events_published_total",
            "Events that had at least one subscriber.",
            &counted.published,
        ),
        (
            "catch_ups_total",
            "How often a subscriber had to continue from disk.",
            &counted.catch_ups,
        ),
        (
            "catch_up_pages_total",
            "Pages read from disk for subscribers.",
            &counted.pages,
        ),
        (
            "gaps_total",
            "How often a gap was reported to a subscriber because events were no longer retained.",
            &counted.gaps,
        ),
        (
            "clampings_total",
            "Batches of events that were clamped for subscribers with a limit.",
            &counted.clampings,
        ),
    ] {
        page.counter(&format!("session_storage_live_{name}"), help, count.get());
    }
}
