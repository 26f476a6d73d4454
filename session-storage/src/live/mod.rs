//! Live fan-out: what happened, to everyone who follows it, at the moment it is durable.
//!
//! ```text
//! commit thread ── publish ─► hub ─► topic (ring) ◄─ take ── subscriber ── socket | event stream ─► client
//!                              └──► gate ── one bell a worker ──► pump ── wakes ──┘   ▲
//! disk ── History::page ── catch_up ── past (pages shared by laggards) ───────────────┘
//! ```
//!
//! A subscriber is a **cursor**, not a queue. Events are encoded once, into blocks that everyone shares; a
//! subscriber that has several blocks before it hands all of them to the connection for one write, so the
//! further it lags the cheaper each event becomes.
//!
//! # What holds
//! - **Order and completeness.** Each subscriber is given every event of its filter after its position, once, by
//!   ascending offset. The offset alone decides: the ring and the past may overlap, what is at or below the
//!   cursor is skipped. A topic says from which offset on it is complete (its floor); below it the disk is
//!   asked, and everything below it is durable.
//! - **Only what is durable.** The hub is called after the sync, and the past is read up to what is durable.
//! - **Nobody sees what they may not.** What a subscriber may see is part of its filter, live and from disk; its
//!   leave is asked for before each piece is given out, and everyone is woken when who may follow changes.
//! - **The writer never waits.** A publish takes the registry's lock, which others hold only to come and go,
//!   and a topic's lock, which others hold only to find their next block. Waking is one bell per worker.
//!
//! # What happens when something is full
//! - *A ring* drops its oldest block and raises its floor: who had not taken it catches up from disk.
//! - *A connection's buffer*: its subscriber is not polled until the client reads again; its cursor stays. It
//!   costs one shared block and nothing grows. If the client never reads again, the connection has to be ended
//!   by the transport (`TCP_USER_TIMEOUT`, set where the listener is made): a body cannot see that a write is stuck.
//! - *A worker* with many subscribers wakes a few at a time, so that a request waits for these few, not for all.
//! - *The readers of the past* wait for their turn; whoever waits for the same page gets the one already read.
//! - *A client's message* over the limit closes its socket with 1009.
//! - *The past itself*: what is no longer kept is told as a gap, in front of what follows it.
//!
//! What this module does not do: it stores nothing, and it does not know where the past comes from.

pub mod catch_up;
pub mod chunk;
pub mod close_code;
pub mod event_stream;
pub mod figures;
pub mod frame;
pub mod gate;
pub mod history;
pub mod hub;
pub mod incoming;
pub mod leave;
pub mod outbox;
pub mod past;
pub mod position;
pub mod pump;
pub mod registry;
pub mod socket;
pub mod subscriber;
pub mod topic;
pub mod worker;

pub use event_stream::EventStream;
pub use figures::{Figures, Lag};
pub use history::{Filter, History, HistoryPage, Place, Published};
pub use hub::{Hub, LiveConfig};
pub use leave::Leave;
pub use position::Position;
pub use registry::{Counts, Transport};
pub use socket::Socket;
pub use subscriber::{Delivery, End, Subscriber};
pub use topic::RingLimits;
pub use worker::{Known, Live};

#[cfg(test)]
mod tests;
