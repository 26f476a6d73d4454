//! Creates and deletes sessions, including their entries in their parents' lists of children.

use session_model::event::Creation;
use session_model::producer::ProducerNumbers;
use session_model::{Code, Command, Refusal, SessionId, UserId};

use super::parent_child::ChildLink;
use super::service::Sessions;
use super::submitted::Submitted;

impl Sessions {
    /// Returns a new id for a session that was given none.
    pub fn new_id() -> Result<SessionId, Refusal> {
        SessionId::parse(&crate::clock::new_id())
    }

    /// Creates a session, or claims one that was created by a first write. `parent` is linked to it
    /// if the parent exists and `may_link` is true.
    pub async fn create(
        &self,
        id: &SessionId,
        user: UserId,
        creation: Creation,
        parent: Option<SessionId>,
        may_link: bool,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let creation = Creation {
            parent: parent.as_ref().map(ToString::to_string),
            ..creation
        };
        let mut command = Some(Command::Create { user, creation });
        let parent = if may_link { parent } else { None };
        let attempt =
            |cell: &_, slot: &mut _| self.attempt(cell, slot, &mut command, producer.as_ref());
        self.write_with_parent(id, parent.as_ref(), ChildLink::Joins, attempt)
            .await
    }

    /// Deletes a session, and its entry in its parent's list.
    pub async fn delete(
        &self,
        id: &SessionId,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let left = self.leave(id, Command::Delete, producer).await;
        match left {
            // A write that the failed sync left in doubt may have made the session.
            Err(refusal)
                if refusal.code == Code::SessionNotFound && self.engine.journal().has_failed() =>
            {
                Err(Refusal::new(
                    Code::StorageUnavailable,
                    "a sync failed, so whether the session exists is known after a restart of the \
                     service",
                ))
            }
            left => left,
        }
    }

    /// Deletes a session if it is still completed. This is decided under the session's lock, so a
    /// session that was reopened in the meantime is kept, and so is one that has changed since
    /// `as_of`. Returns whether the session was removed.
    pub async fn retire(&self, id: &SessionId, as_of: Option<u64>) -> Result<bool, Refusal> {
        self.leave(id, Command::Retire { as_of }, None).await?;
        Ok(!self.exists(id))
    }

    async fn leave(
        &self,
        id: &SessionId,
        command: Command<'_>,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let parent = self.parent_of(id).await?;
        let mut command = Some(command);
        let attempt =
            |cell: &_, slot: &mut _| self.attempt(cell, slot, &mut command, producer.as_ref());
        let answer = self
            .write_with_parent(id, parent.as_ref(), ChildLink::Leaves, attempt)
            .await?;
        if !self.exists(id) {
            self.leave_lists(id).await;
        }
        Ok(answer)
    }

    /// Removes a deleted session from lists to which another session's agent has added it. The
    /// session itself need not name those parents, so this is not part of its deletion: a crash in
    /// between leaves it listed.
    async fn leave_lists(&self, id: &SessionId) {
        for parent in self.engine.index().parents_of(id.as_str()) {
            let command = Command::LinkChild {
                child: id.to_string(),
                present: false,
            };
            if let Err(refused) = self.submit(&parent, command, None).await {
                tracing::warn!(session = %id, %parent, ?refused, "a deleted session stays listed");
            }
        }
    }
}
