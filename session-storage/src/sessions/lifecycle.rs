//! Making and removing sessions, with their places among their parents' children.

use serde_json::Value;
use session_model::event::Birth;
use session_model::producer::ProducerNumbers;
use session_model::{Command, Refusal, SessionId, UserId};

use super::kin::Kin;
use super::refused::Refused;
use super::{Sessions, Submitted};

impl Sessions {
    /// A name for a session that nobody has named.
    pub fn new_id() -> Result<SessionId, Refusal> {
        SessionId::parse(&crate::clock::new_id())
    }

    /// Makes a session, or claims one that a first write had made. `parent` is linked to it if it is there and
    /// `may_link`.
    pub async fn create(
        &self,
        id: &SessionId,
        user: UserId,
        birth: Birth,
        parent: Option<SessionId>,
        may_link: bool,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let birth = Birth { parent: parent.as_ref().map(ToString::to_string), ..birth };
        let mut command = Some(Command::Create { user, birth });
        let parent = parent.filter(|_| may_link);
        let attempt = |cell: &_, slot: &mut _| self.attempt(cell, slot, &mut command, producer.as_ref());
        let mut answer = self.write_with_parent(id, parent.as_ref(), Kin::Joins, attempt).await?;
        let mut body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        body["sessionId"] = id.as_str().into();
        body["path"] = self.path_of(id).to_string_lossy().into_owned().into();
        answer.body = body.to_string();
        Ok(answer)
    }

    /// Removes a session, and its place in its parent's list.
    pub async fn delete(
        &self,
        id: &SessionId,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        self.leave(id, Command::Delete, producer).await
    }

    /// Removes a session if it is still completed: that is decided under its lock, so that one which was opened
    /// again meanwhile stays; so does one that something has happened to since `as_of`. Answers whether it went.
    pub async fn retire(&self, id: &SessionId, as_of: Option<u64>) -> Result<bool, Refused> {
        self.leave(id, Command::Retire { as_of }, None).await?;
        Ok(!self.exists(id))
    }

    async fn leave(
        &self,
        id: &SessionId,
        command: Command<'_>,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let parent = self.parent_of(id).await?;
        let mut command = Some(command);
        let attempt = |cell: &_, slot: &mut _| self.attempt(cell, slot, &mut command, producer.as_ref());
        let answer = self.write_with_parent(id, parent.as_ref(), Kin::Leaves, attempt).await?;
        if !self.exists(id) {
            self.leave_lists(id).await;
        }
        Ok(answer)
    }

    /// Takes a session that has gone out of the lists that an agent of another session has put it in. It need not say so
    /// itself, and so that is no part of its deletion: a crash in between leaves it listed.
    async fn leave_lists(&self, id: &SessionId) {
        for parent in self.store.index.parents_of(id.as_str()) {
            let command = Command::LinkChild { child: id.to_string(), present: false };
            if let Err(refused) = self.submit(&parent, command, None).await {
                tracing::warn!(session = %id, %parent, ?refused, "a deleted session stays listed");
            }
        }
    }
}
