//! The API for programs, and the base of the bindings for other languages.
//!
//! # For the author of a binding
//!
//! **Agents.** [`HookAgent::new`] never fails and does nothing yet: no file, no thread, no network.
//! The first call opens the spool and starts the thread.
//! [`Config::from_env`](crate::Config::from_env) fails only for a value that cannot be used, never
//! for a missing one; make the agent at the first call, so that an import does not fail even then.
//! Clones are cheap and share everything; [`HookAgent::for_session`] is a clone that writes to
//! another session. Make one agent per service URL, not one per session: each agent has its own
//! thread and spool folder.
//!
//! **Writes.** Turn the host's value into JSON text in the fastest way available there, and pass it
//! to [`HookAgent::send`]:
//!
//! ```
//! # use hook_agent::{Call, Config, HookAgent};
//! # let dir = tempfile::tempdir().unwrap();
//! # let mut config = Config::new("http://127.0.0.1:9")?;
//! # config.spool_dirs = vec![dir.path().to_owned()];
//! # config.session_id = Some("demo".to_owned());
//! # let agent = HookAgent::new(config);
//! let ticket = agent.send(Call::Action, r#"{"type":"tool_call"}"#)?;
//! # drop(ticket);
//! # Ok::<(), hook_agent::Error>(())
//! ```
//!
//! A host value without a JSON form must not fail the caller: write it in its usual form (a date as
//! ISO 8601, a set as an array, an error as its name, message and trace), cut cycles, and pass the
//! number of such values to [`HookAgent::send_coerced`].
//!
//! `send` checks that the text is a JSON object (and returns an [`Error`](crate::Error) with a
//! `code()` at once if not), writes it to the spool and returns. It takes one to two microseconds
//! and none of the host's locks, so releasing the interpreter around it is not worth the cost.
//! Without a session id, the process creates one at its first such call and reports it once on
//! stderr; see [`HookAgent::session_id`]. The methods (`log_action` …) do the same with serde.
//!
//! **Typed helpers.** Pass the parts of a record and its other fields, each as a JSON object, to
//! [`HookAgent::send_typed`]: it decides on type, key, origin and log, the same in every language.
//!
//! **Awaiting.** Dropping a [`Ticket`] costs nothing: the record is delivered all the same. When
//! the host awaits, call [`Ticket::on_done`] with a callback; that wakes the delivery at once. The
//! callback is called exactly once, with the service's response as JSON text ([`Answer::json`]) or
//! an [`Error`](crate::Error), either on the delivery thread or, if the result is already known,
//! before `on_done` returns. It must be quick and must not wait for the delivery: hand over to the
//! event loop and return (`loop.call_soon_threadsafe` in Python, a `ThreadsafeFunction` or a
//! `JsDeferred` in Node). A panic in it is caught and counted. The caller needs no async runtime. A
//! binding that cannot know whether a call will be awaited keeps the ticket in its awaitable and
//! calls `on_done` at the first await: a late ticket still finds its response among the last 8
//! batches, and gets `{"success":true}` after that. [`Ticket::wait`] blocks with a timeout; release
//! the interpreter around it. If holding a foreign object for each call is expensive, keep
//! [`Ticket::number`] instead, and make the ticket again with [`HookAgent::ticket`] at the await.
//! In Rust a ticket can simply be `.await`ed.
//!
//! **Trouble.** A network failure is never an error of a write: the answer is
//! `{"success":true,"queued":true}`, at the latest after the connect plus the answer timeout, and
//! at once while the service is known to be away. Errors of a write are: at the call, what the
//! caller can correct (`invalid_session_id`, `invalid_json`, `event_too_large`, `spool_full`,
//! `spool_write_failed`, `agent_closed`); at the ticket, what the service rejected (its own code,
//! such as `goal_not_found`) and `event_dropped`. A ticket may be awaited at any time: the last
//! 4096 rejected and dropped ranges are remembered, and tickets from before them fail with
//! `event_forgotten`.
//!
//! **Reads.** [`HookAgent::get_state`], [`restore`](HookAgent::restore) and
//! [`test_connection`](HookAgent::test_connection) return a ticket too. They run on their own
//! threads, never behind a delivery, and take at most the connect plus the answer timeout. They
//! fail with `service_unreachable` or the service's code. They do not wait for writes that are not
//! awaited.
//!
//! **Fork.** A binding need not do anything. Every call compares the process id with the one that
//! opened the spool. In a forked child, the first call leaves inherited state alone (it takes none
//! of its locks and drops nothing, so it cannot hang, whatever the parent's threads were doing),
//! closes its copy of the parent's spool lock, and opens a folder, a producer id and a thread of
//! its own. The parent delivers the records that it queued; a ticket taken before the fork answers
//! `queued` in the child. `spawn` and `exec` need nothing.
//!
//! **Ending.** [`HookAgent::flush`] waits until every earlier call is settled, at most for its
//! timeout, and returns whether all are; [`close`](HookAgent::close) flushes and ends the thread.
//! Both block: release the interpreter, or run them on an executor (`run_in_executor`, napi's
//! `AsyncTask`). A program that calls neither loses nothing: the records are in the spool for the
//! next agent, or for `hook-agent flush`. The thread never keeps a process alive.
//! [`HookAgent::stats`] is plain data that serializes to JSON.

mod agent;
mod answer;
mod call;
mod checked_record;
mod process_state;
mod reads;
mod session;
mod shared_agent;
mod stats;
mod ticket;
mod typed;

pub use agent::{HookAgent, RESTORE_LAST};
pub use answer::Answer;
pub use call::Call;
pub(crate) use session::check_session;
pub use session::process_session;
pub use shared_agent::{Keep, SharedAgent};
pub use stats::{SpoolStats, Stats};
pub use ticket::Ticket;
pub use typed::Helper;
