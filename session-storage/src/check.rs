//! Reads a whole storage directory. Stub.
use crate::config::Config;
use std::io::Write;
/// Stub.
pub fn run(_config: &Config, _repair: bool, _out: &mut impl Write) -> anyhow::Result<usize> {
    Ok(0)
}
