//! The native half of the Python binding: converts the data, makes one call of [`hook_agent`], maps
//! the error, nothing more.
//!
//! Private to the package `hook_agent`, whose Python files are its public API; `_native.pyi`
//! declares its types.
//!
//! [`agent`] makes the calls; [`json`] turns Python values into JSON text; [`receipt`] returns an
//! answer to the code that awaits it, through [`reply_slot`] and [`loop_notifier`]; [`error`] maps errors.
//!
//! **Threads.** None of our threads ever enters the interpreter, and the functions that Python
//! calls here call no Python code in turn, except for errors and unusual values. The reason: before
//! Python 3.14, the interpreter's shutdown unwinds its threads, and a Rust function in progress
//! does not survive that. So awaiting is written in Python, on calls that only look or register a
//! waiter.
//!
//! **Locks.** A lock of this crate is held only for a few statements that call no Python code. The
//! locks that the delivery thread takes too (a reply slot's, a notifier's) are never taken by a forked
//! child: the child makes its own.

mod agent;
mod error;
mod json;
mod loop_notifier;
mod receipt;
mod reply_slot;

/// What the Python files of the package build on.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::agent::{Agent, forked, leave};
    #[pymodule_export]
    use super::loop_notifier::LoopNotifier;
    #[pymodule_export]
    use super::receipt::Receipt;
}
