//! The commands beside running the service: what they print, and their exit codes.

pub(crate) mod access_command;
pub(crate) mod health_check;
pub(crate) mod moving;
