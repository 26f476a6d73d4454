//! Builds the page that `/metrics` returns.

use super::exposition::{Exposition, Labels};
use super::process;
use super::requests::{Requests, Row};
use crate::app::connections::Connections;
use crate::sessions::figures::Figures;

/// Builds the page.
pub(crate) fn report(requests: &Requests, connections: &Connections, figures: &Figures<'_>) -> String {
    let mut page = Exposition::default();
    build(&mut page);
    answered(&mut page, requests, connections);
    commits(&mut page, figures);
    journal(&mut page, figures);
    sessions(&mut page, figures);
    live(&mut page, figures);
    process::report(&mut page);
    page.finish()
}

fn build(page: &mut Exposition) {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("profile", profile)];
    page.info("session_storage_build_info", "What was built.", &labels);
}

fn answered(page: &mut Exposition, requests: &Requests, connections: &Connections) {
    let rows = requests.read();
    let labels = |row: &Row| [("route", row.route), ("method", row.method), ("status", row.class)];
    let labels: Vec<_> = rows.iter().map(labels).collect();
    let all = labels.iter().zip(&rows).map(|(labels, row)| (labels as Labels<'_>, &row.took));
    page.histograms(
        "session_storage_http_request_duration_seconds",
        "Requests, and how long each took until its answer began; of streams that is the handshake.",
        all,
    );
    page.counters(
        "session_storage_errors_total",
        "Requests that were refused or failed, by error code.",
        "code",
        requests.errors.read(),
    );
    page.gauge("session_storage_http_connections", "Open connections.", connections.count());
    let help =
        "The most connections that there may be: MAX_CONNECTIONS, or what the limit of open files allows.";
    page.gauge("session_storage_http_connections_max", help, connections.most());
    page.counter(
        "session_storage_http_connections_ended_total",
        "Idle connections that were ended to make room for others.",
        connections.ended_for_others(),
    );
}

fn commits(page: &mut Exposition, figures: &Figures<'_>) {
    let counted = figures.store;
    for (name, help, histogram) in [
        ("session_storage_commit_events", "Commits, by how many events each had.", &counted.group_events),
        (
            "session_storage_commit_bytes",
            "Commits, by the bytes of journal each wrote.",
            &counted.group_bytes,
        ),
        (
            "session_storage_commit_duration_seconds",
            "How long commits took: journal, sync and logs.",
            &counted.commit_time,
        ),
        (
            "session_storage_commit_sync_duration_seconds",
            "How long the sync of each commit took; none with STORAGE_SYNC other than `always`.",
            &counted.sync_time,
        ),
        (
            "session_storage_commit_wait_duration_seconds",
            "How long the first change of each commit waited for it.",
            &counted.wait_time,
        ),
        (
            "session_storage_checkpoint_duration_seconds",
            "Checkpoints, and how long they took.",
            &counted.checkpoint_time,
        ),
    ] {
        page.histogram(name, help, &histogram.read());
    }
    let failures =
        [("full", counted.full.get()), ("write", counted.unwritten.get()), ("sync", counted.unsynced.get())];
    let help = "Commits that failed; none of their events happened.";
    page.counters("session_storage_commit_failures_total", help, "reason", failures);
    let (events, bytes) = figures.waiting;
    page.gauge("session_storage_pending_events", "Events that wait for the next commit.", events);
    page.gauge("session_storage_pending_bytes", "Bytes that wait for the next commit.", bytes);
}

fn journal(page: &mut Exposition, figures: &Figures<'_>) {
    let (segments, bytes) = figures.journal;
    let (free, size) = figures.disk;
    page.gauge("session_storage_journal_segments", "Segments of the journal.", segments);
    let help = "Length of the journal, with the room allocated for its newest segment.";
    page.gauge("session_storage_journal_bytes", help, bytes);
    let written = figures.store.journal_bytes.get();
    page.counter("session_storage_journal_written_bytes_total", "Bytes written to the journal.", written);
    let logged = figures.store.log_bytes.get();
    page.counter("session_storage_log_written_bytes_total", "Bytes appended to the sessions' logs.", logged);
    page.gauge("session_storage_offset", "The offset of the newest durable event.", figures.offset);
    page.gauge("session_storage_disk_free_bytes", "Room on the file system.", free);
    page.gauge("session_storage_disk_size_bytes", "Size of the file system.", size);
    let help = "1 once a sync has failed: nothing is accepted until a restart.";
    page.gauge("session_storage_storage_failed", help, u8::from(figures.failed));
}

fn sessions(page: &mut Exposition, figures: &Figures<'_>) {
    let (total, completed) = figures.sessions;
    let states = [("active", (total - completed) as u64), ("completed", completed as u64)];
    page.gauges("session_storage_sessions", "Sessions that are stored.", "status", &states);
    page.gauge("session_storage_sessions_loaded", "Sessions in memory.", figures.loaded);
    let help = "Sessions that are set aside because their files are damaged.";
    page.gauge("session_storage_sessions_quarantined", help, figures.quarantined);
    let help = "Sessions whose files cannot be read, written or completed now; what was stored of them is in the journal.";
    page.gauge("session_storage_sessions_behind", help, figures.behind);
    let help = "Sessions whose snapshots are still to be written.";
    page.gauge("session_storage_snapshots_pending", help, figures.awaiting_snapshots);
}

fn live(page: &mut Exposition, figures: &Figures<'_>) {
    let (followers, counted) = (figures.followers, figures.live);
    let transports =
        [("websocket", followers.connections as u64), ("event_stream", followers.streams as u64)];
    page.gauges("session_storage_subscribers", "Who follows.", "transport", &transports);
    let help = "Subscribers that have fallen out of memory and read from disk.";
    page.gauge("session_storage_subscribers_lagging", help, figures.lag.lagging);
    let help = "How far the furthest subscriber is behind, in offsets; other sessions' events count too.";
    page.gauge("session_storage_subscriber_lag_max", help, figures.lag.furthest);
    for (name, help, count) in [
        ("events_published_total", "Events that somebody followed.", &counted.published),
        ("catch_ups_total", "How often a subscriber had to go on from disk.", &counted.catch_ups),
        ("catch_up_pages_total", "Pages read from disk for subscribers.", &counted.pages),
        ("gaps_total", "How often a subscriber was told that events are no longer kept.", &counted.gaps),
    ] {
        page.counter(&format!("session_storage_live_{name}"), help, count.get());
    }
}
