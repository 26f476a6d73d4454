//! The folders that hooks share, for `flush` and `status`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Config;
use crate::claude_code::troubles;
use crate::delivery::{Delivered, Once};
use crate::spool::SharedFolder;

/// Pause between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

/// Delivers all of them, or says what is in the way.
pub(super) fn flush(config: &Config, deadline: Instant) -> Result<(), String> {
    folders(config).try_for_each(|folder| {
        loop {
            let attempt = Once { config, folder: &folder, deadline, last: true };
            let reason = match attempt.deliver() {
                Ok(Delivered::All) => return Ok(()),
                Ok(Delivered::LeftToOthers) => "another process delivers".to_owned(),
                Ok(Delivered::Failed(reason)) => reason,
                Err(error) => format!("`{}`: {error}", folder.path.display()),
            };
            if Instant::now() + AGAIN >= deadline {
                return Err(reason);
            }
            std::thread::sleep(AGAIN);
        }
    })
}

/// What there is: whether anything waits, and how often a hook noted trouble.
pub(super) fn survey(config: &Config) -> Vec<Value> {
    let tell = |folder: SharedFolder| {
        let pending = folder.pending().map_err(|error| error.to_string());
        json!({"path": folder.path, "pending": pending.clone().ok(), "troubles": troubles(&folder.path), "error": pending.err()})
    };
    folders(config).map(tell).collect()
}

fn folders(config: &Config) -> impl Iterator<Item = SharedFolder> {
    config.spool_dirs.iter().filter_map(|dir| SharedFolder::find(dir, config.service.as_str()))
}
