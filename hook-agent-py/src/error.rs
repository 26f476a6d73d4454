//! Maps the library's errors to the package's exceptions, each with its `.code`.

use hook_agent::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Returns the exception for an error: a class of `hook_agent._errors`, created with the message
/// and the code.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    made(py, class(error), &error.to_string(), error.code()).unwrap_or_else(|unmade| unmade)
}

fn made(py: Python<'_>, class: &str, message: &str, code: &str) -> PyResult<PyErr> {
    let class = py
        .import("hook_agent._errors")?
        .getattr(class)?
        .cast_into::<PyType>()?;
    Ok(PyErr::from_value(class.call1((message, code))?))
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::NotJson { .. } | Error::TooLarge { .. } => "InvalidEventError",
        Error::Rejected { .. } | Error::Refused { .. } => "RejectedError",
        Error::Unreachable { .. } => "UnreachableError",
        Error::Timeout { .. } => "AnswerTimeoutError",
        Error::InvalidSession { .. }
        | Error::SpoolFull { .. }
        | Error::SpoolWrite { .. }
        | Error::Thread { .. }
        | Error::Closed
        | Error::Dropped { .. }
        | Error::Forgotten
        | Error::Config { .. } => "HookAgentError",
    }
}
