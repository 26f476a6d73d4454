//! Making and removing sessions, with their places among their parents' children.

use serde_json::{Map, Value};
use session_model::event::Birth;
use session_model::producer::ProducerNumbers;
use session_model::{Command, Refusal, SessionId, UserId};

use super::refused::Refused;
use super::{Sessions, Submitted};

impl Sessions {
    /// A name for a session that nobody has named.
    pub fn new_id() -> Result<SessionId, Refusal> {
        SessionId::parse(&uuid::Uuid::now_v7().to_string())
    }

    /// Makes a session, or claims one that a first write had made. `parent` is linked to it if it is there and
    /// `may_link`.
    pub async fn create(
        &self,
        id: &SessionId,
        user: UserId,
        initial: Map<String, Value>,
        parent: Option<SessionId>,
        may_link: bool,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let birth = Birth { initial, parent: parent.as_ref().map(ToString::to_string) };
        let mut answer = self.submit(id, Command::Create { user, birth }, producer).await?;
        if let Some(parent) = parent.filter(|parent| may_link && self.exists(parent)) {
            let link = Command::LinkChild { child: id.to_string(), present: true };
            self.submit(&parent, link, None).await?;
        }
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
        let parent = self.parent_of(id).await?;
        let answer = self.submit(id, Command::Delete, producer).await?;
        self.unlink(id, parent).await?;
        Ok(answer)
    }

    /// Removes a session if it is still completed: that is decided under its lock, so that one which was opened
    /// again meanwhile stays; so does one that something has happened to since `as_of`. Answers whether it went.
    pub async fn retire(&self, id: &SessionId, as_of: Option<u64>) -> Result<bool, Refused> {
        let parent = self.parent_of(id).await?;
        self.submit(id, Command::Retire { as_of }, None).await?;
        if self.exists(id) {
            return Ok(false);
        }
        self.unlink(id, parent).await?;
        Ok(true)
    }

    async fn unlink(&self, id: &SessionId, parent: Option<SessionId>) -> Result<(), Refused> {
        if let Some(parent) = parent.filter(|parent| self.exists(parent)) {
            let unlink = Command::LinkChild { child: id.to_string(), present: false };
            self.submit(&parent, unlink, None).await?;
        }
        Ok(())
    }
}
