//! Live fan-out: sends each event to its subscribers as soon as the event is durable.
//!
//! ```text
//! commit thread ── publish ─► hub ─► topic (ring) ◄── take ─── subscriber ─► socket | event stream
//!                             │                                  ▲   ▲
//!                             └─► notifier ─► dispatcher ────────┘   │   (one per worker)
//! disk ── Backlog::page ─► backlog (pages that a topic shares) ──────┘
//! ```
//!
//! An event passes these files: `hub.rs` encodes it into an `event_batch.rs`, `registry.rs` finds
//! its topics, `topic.rs` keeps the batch, `notifier.rs` and `dispatcher.rs` wake the subscribers,
//! `subscriber.rs` takes the batch, `socket.rs` or `event_stream.rs` writes it.
//!
//! A subscriber is a **cursor**, not a queue. Events are encoded once, into batches that all
//! subscribers share. A subscriber with several pending batches hands all of them to the connection
//! for one write, so the cost per event falls as the lag grows.
//!
//! # Guarantees
//! - **Order and completeness.** Each subscriber gets every event that matches its filter after its
//!   position, exactly once, by ascending offset. Only the offset decides: the ring and the pages
//!   read from disk may overlap, and anything at or below the cursor is skipped. A topic's floor is
//!   the offset above which its ring is complete. Events at or below the floor are read from disk,
//!   and all of them are durable.
//! - **Durable events only.** The hub is called after the sync, and the backlog is read up to the
//!   last durable offset.
//! - **Access control.** A subscriber's scope is part of its filter, both live and from disk. Its
//!   grant is checked before each delivery, and all subscribers are woken when access rights
//!   change.
//! - **The writer never waits.** A publish takes the registry's lock, which others hold only to
//!   join and leave, and a topic's lock, which others hold only to find their next batch. There is
//!   one notification per worker.
//!
//! # Overflow
//! - *A ring* drops its oldest batch and raises its floor. A subscriber that had not taken the
//!   batch catches up from disk.
//! - *A connection's buffer*: when it is full, its subscriber is not polled until the client reads
//!   again. The cursor stays, the subscriber holds one shared batch, and nothing grows. If the
//!   client never reads again, the transport has to end the connection (`TCP_USER_TIMEOUT`, set
//!   where the listener is created), because a response body cannot detect that a write is stuck.
//! - *A worker* with many subscribers wakes a few at a time, so that a request waits for those few
//!   and not for all of them.
//! - *Backlog readers* wait for a permit. Subscribers that wait for the same page share the page
//!   that was read first.
//! - *A subscriber with a limit* waits while a batch with longer events is clamped, which takes a
//!   reader permit. Subscribers with the same limit share the result.
//! - *A client message* over the size limit closes its socket with code 1009.
//! - *Retention*: events that are no longer retained are reported as a gap, ahead of the events
//!   that follow it.
//!
//! This module stores nothing and does not know where the backlog is read from.

pub mod backlog;
pub mod clamped;
pub mod close_code;
pub mod dispatcher;
pub mod event_batch;
pub mod event_stream;
pub mod filter;
pub mod frame;
pub mod hub;
pub mod incoming;
pub mod kept_forms;
pub mod notifier;
pub mod outbox;
pub mod position;
pub mod registry;
pub mod socket;
pub mod subscriber;
pub mod topic;
pub mod worker;

pub use backlog::{Backlog, EventNumber, StoredEvents};
pub use event_stream::EventStream;
pub use filter::{Filter, Published};
pub use hub::{Hub, HubMetrics, LiveConfig};
pub use position::Position;
pub use registry::{Counts, Transport};
pub use socket::Socket;
pub use subscriber::{Delivery, End, Grant, Subscriber};
pub use topic::{Lag, RingLimits};
pub use worker::{Known, Live, PageLimit};

#[cfg(test)]
mod tests;
