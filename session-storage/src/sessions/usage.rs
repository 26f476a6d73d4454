//! Storage usage per user.

use std::collections::HashMap;

use session_model::{SessionId, UserId};

use super::service::Sessions;

impl Sessions {
    /// Returns the number of a user's sessions, including those being created, each counted once.
    pub fn count_of(&self, user: &UserId, making: &mut dyn Iterator<Item = &SessionId>) -> usize {
        self.engine.index().count_of(user, making)
    }

    /// Returns the bytes of the files of each user's sessions. Blocks on the disk while it looks at
    /// all sessions.
    pub fn bytes_by_user(&self) -> HashMap<UserId, u64> {
        let mut bytes: HashMap<UserId, u64> = HashMap::new();
        for ((_, _, id), row) in self.engine.index().newest(None, usize::MAX, |_, _| true) {
            *bytes.entry(row.user.clone()).or_default() += self.engine.size_of(&id);
        }
        bytes
    }
}
