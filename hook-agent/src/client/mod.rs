//! What a program calls, and what a binding for another language is built on.
//!
//! # For the author of a binding
//!
//! **Agents.** [`HookAgent::new`] never fails and does nothing yet: no file, no thread, no network. The first call
//! opens the spool and starts the thread. [`Config::from_env`](crate::Config::from_env) fails only for a value that
//! cannot be used, never for a missing one; let an import survive that too, by making the agent at the first call.
//! Clones are cheap and share everything; [`HookAgent::for_session`] is a clone that speaks for another session.
//! Make one agent a service address, not one a session: each has a thread and a spool folder of its own.
//!
//! **Writes.** Turn the host's value into JSON text in whichever way is quickest there, and hand it to
//! [`HookAgent::send`]:
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
//! A value of the host's that JSON has no form for must not fail at the caller: write it in its usual form (a date as
//! ISO 8601, a set as an array, an error as its name, message and trace), cut a circle, and say with
//! [`HookAgent::send_coerced`] how many there were.
//!
//! It checks that the text is a JSON object (an [`Error`](crate::Error) with a `code()` at once if not), writes it
//! to the spool and returns. It takes one to two microseconds and no lock of the host's, so releasing the
//! interpreter around it is not worth its price. Without a session id the process makes one at its first such call and
//! says so once on the error output; see [`HookAgent::session_id`]. The typed methods (`log_action` …) are the same with serde.
//!
//! **Awaiting.** A [`Ticket`] that is dropped costs nothing: the record is delivered all the same. When the host
//! awaits, call [`Ticket::on_done`] with a callback; that wakes the delivery at once. The callback comes exactly once,
//! with the service's answer as JSON text ([`Answer::json`]) or an [`Error`](crate::Error), either on the delivery
//! thread or, when it is known already, before `on_done` returns. It must be quick and must not wait for the
//! delivery: hand over to the loop and return (`loop.call_soon_threadsafe` in Python, a `ThreadsafeFunction` or a
//! `JsDeferred` in Node). A panic in it is caught and counted. No runtime is needed on the caller's side.
//! A binding that cannot tell whether a call will be awaited keeps the ticket in its awaitable and calls
//! `on_done` at the first await: a ticket that is taken up late still finds its answer among the last 8 batches,
//! and `{"success":true}` after that. [`Ticket::wait`] blocks with a time-out; release the interpreter around it.
//! Where holding a foreign object for each call is dear, keep [`Ticket::number`] instead, and make the ticket again
//! with [`HookAgent::ticket`] at the await. In Rust a ticket can simply be `.await`ed.
//!
//! **Trouble.** A network failure is never an error of a write: the answer is `{"success":true,"queued":true}`, at
//! the latest after connect plus answer time-out, and at once for as long as the service is known to be away.
//! Errors of a write are: at the call, what the caller can mend (`invalid_session_id`, `invalid_json`,
//! `event_too_large`, `spool_full`, `spool_write_failed`, `agent_closed`); at the ticket, what the
//! service refused (its own code, as `goal_not_found`) and `event_dropped`. A ticket may be taken up at any time: the last
//! 4096 refusals and drops are remembered, and what lies before them fails with `event_forgotten`.
//!
//! **Reads.** [`HookAgent::get_state`], [`restore`](HookAgent::restore) and
//! [`test_connection`](HookAgent::test_connection) return a ticket too; they run on threads of their own, never
//! behind a delivery, within connect plus answer time-out, and fail with `service_unreachable` or the service's
//! code. They do not wait for writes that are not awaited.
//!
//! **Fork.** Nothing to do. Every call compares the process id with the one that opened the spool. In a
//! forked child the first call leaves what it inherited alone (it takes none of its locks and drops nothing, so it
//! cannot hang, whatever the parent's threads were in the middle of), closes its copy of the parent's spool lock,
//! and opens a folder, a producer id and a thread of its own. Records that the parent queued are the parent's to
//! deliver; a ticket taken before the fork answers `queued` in the child. `spawn` and `exec` need nothing.
//!
//! **Ending.** [`HookAgent::flush`] waits until what was called before is settled, for at most its time-out, and says
//! whether it is; [`close`](HookAgent::close) flushes and ends the thread. Both block: release the interpreter, or
//! run them on an executor (`run_in_executor`, napi's `AsyncTask`). A program that calls neither loses nothing:
//! the records are in the spool for the next agent, or `hook-agent flush`. The thread never keeps a
//! process alive. [`HookAgent::stats`] is plain data that serializes to JSON.

mod agent;
mod answer;
mod call;
mod life;
mod reads;
mod session;
mod stats;
mod ticket;

pub use agent::HookAgent;
pub use answer::Answer;
pub use call::Call;
pub(crate) use session::check_session;
pub use session::process_session;
pub use stats::{SpoolStats, Stats};
pub use ticket::Ticket;
