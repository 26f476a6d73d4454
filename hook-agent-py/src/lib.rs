//! The Python binding's native half: converts, makes one call of [`hook_agent`], maps the error, nothing more.
//!
//! Private to the package `hook_agent`, whose Python files are its public face; `_native.pyi` tells its types.
//!
//! [`agent`] speaks, [`json`] turns Python's values into JSON text, [`receipt`] brings an answer back to whoever
//! awaits it, by way of [`cell`] and [`mailbox`]; [`connection`] shares agents, [`error`] maps errors.
//!
//! **Threads.** None of ours ever enters the interpreter. And what Python calls here calls no Python code in turn,
//! errors and unusual values aside: before 3.14 the interpreter's end unwinds its threads, which a Rust function that
//! is under way does not survive. So awaiting is written in Python, on calls that only look or leave a note.
//!
//! **Locks.** A lock of this crate's is held only for a few statements that call no Python. Those that the delivery
//! thread takes too (a cell's, a mailbox's) are never taken by a forked child: it makes its own.

mod agent;
mod cell;
mod connection;
mod error;
mod json;
mod mailbox;
mod receipt;

/// What the Python files of the package build on.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::agent::Agent;
    #[pymodule_export]
    use super::connection::{forked, leave};
    #[pymodule_export]
    use super::mailbox::Mailbox;
    #[pymodule_export]
    use super::receipt::Receipt;
}
