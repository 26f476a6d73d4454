//! Reads one session: returns what its view contains, once that is durable.
//!
//! Documents leave as JSON bytes, because they are stored documents: they are serialized once, under
//! the session's lock, which costs less than a copy of the whole document would.

use std::sync::Arc;

use bytes::Bytes;
use session_insight::usage::Prices;
use session_model::view::OutFile;
use session_model::{Code, LogKind, Refusal, SessionId, View};
use session_store::initial_document::initial_document;
use session_store::log_page::{LogPage, LogQuery};
use session_store::old_state::state_at;
use session_store::refusals::quarantined;

use super::json_bytes::to_json;
use super::logs::OpenPage;
use super::metadata_answers::MetadataAnswer;
use super::pieces::RecordStream;
use super::service::Sessions;
use super::usage_records::Known;
use session_store::refusals::not_found;

impl Sessions {
    /// Reads a session's view, and waits until what was read is durable.
    pub(super) async fn read<R>(
        &self,
        id: &SessionId,
        look: impl Fn(&View) -> R,
    ) -> Result<R, Refusal> {
        let cell = self.engine.cache().get(id);
        loop {
            let seen = match self.ready(&mut *cell.short().await) {
                None => None,
                Some(None) => Some(None),
                Some(Some(loaded)) => Some(Some((
                    loaded.view.offset,
                    loaded.generation,
                    look(&loaded.view),
                ))),
            };
            match seen {
                None => self.load(&cell).await?,
                // Its deletion may not be durable yet; if that commit fails, the session still
                // exists.
                Some(None) if !self.settled(self.engine.journal().newest()).await => {}
                Some(None) => {
                    drop(cell);
                    self.engine.cache().forget_absent(id);
                    return Err(self.absent(id));
                }
                Some(Some((offset, generation, result))) => {
                    // If a commit failed in the meantime, read again what is durable.
                    if self.settled(offset).await
                        && self.engine.journal().generation() == generation
                    {
                        return Ok(result);
                    }
                }
            }
        }
    }

    /// Rejects a session that does not exist, with the reason. Loads nothing.
    pub fn known(&self, id: &SessionId) -> Result<(), Refusal> {
        if self.exists(id) {
            Ok(())
        } else {
            Err(self.absent(id))
        }
    }

    fn absent(&self, id: &SessionId) -> Refusal {
        if self.engine.is_quarantined(id) {
            quarantined(id)
        } else {
            not_found(id)
        }
    }

    pub(super) async fn parent_of(&self, id: &SessionId) -> Result<Option<SessionId>, Refusal> {
        let parent = self
            .read(id, |view| view.metadata.parent().map(str::to_owned))
            .await?;
        Ok(parent
            .filter(|parent| !parent.is_empty())
            .map(|parent| SessionId::adopt(&parent)))
    }

    /// Returns the state and its version.
    pub async fn state(&self, id: &SessionId) -> Result<(u64, Bytes), Refusal> {
        self.read(id, |view| (view.state.version(), to_json(&view.state)))
            .await
    }

    /// Returns the state at an earlier version.
    pub async fn state_at(&self, id: &SessionId, version: u64) -> Result<Bytes, Refusal> {
        let (current, state) = self.state(id).await?;
        if version == current {
            return Ok(state);
        }
        let unknown = || {
            let message = format!("the state of session `{id}` has no version {version}");
            Refusal::new(Code::VersionNotFound, message)
        };
        if version > current {
            return Err(unknown());
        }
        let engine = Arc::clone(&self.engine);
        let name = id.clone();
        let found = actix_web::web::block(move || state_at(&*engine, &name, version)).await;
        let found =
            found.map_err(|_| Refusal::new(Code::Internal, "the history could not be read"))??;
        Ok(to_json(&found.ok_or_else(unknown)?))
    }

    /// Returns the whole session, with its logs if they are requested.
    pub async fn whole(&self, id: &SessionId, with_logs: bool) -> Result<WholeSession, Refusal> {
        let (documents, initial, known) = self
            .read(id, |view| Documents::look(view, &self.settings.prices))
            .await?;
        let metadata = self.complete(id, documents.metadata, known).await;
        let logs: &[LogKind] = if with_logs {
            &[LogKind::Actions, LogKind::Responses]
        } else {
            &[]
        };
        let engine = Arc::clone(&self.engine);
        let name = id.clone();
        let opened = actix_web::web::block(move || {
            let initial = initial.unwrap_or_else(|| to_json(&initial_document(&*engine, &name)));
            let mut pages = Vec::new();
            for &log in logs {
                // Limit the logs to their length at the moment when the documents were read.
                let length = Some(known.lengths[log.index()]);
                let page = LogPage::open(&engine, &name, log, LogQuery::default(), length)?;
                pages.push((log, OpenPage::read(page)?));
            }
            Ok::<_, Refusal>((initial, pages))
        });
        let (initial, pages) = opened
            .await
            .map_err(|_| Refusal::new(Code::Internal, "the session could not be read"))??;
        let logs = pages.into_iter().map(|(log, page)| (log, page.stream()));
        Ok(WholeSession {
            metadata,
            initial,
            state: documents.state,
            logs: logs.collect(),
            final_document: documents.final_document,
        })
    }
}

/// A session with its documents, each as JSON, and its logs.
pub struct WholeSession {
    /// The metadata.
    pub metadata: Bytes,
    /// The document that the session was created from.
    pub initial: Bytes,
    /// The state.
    pub state: Bytes,
    /// The logs that were requested.
    pub logs: Vec<(LogKind, RecordStream)>,
    /// The final document, or `null`.
    pub final_document: Bytes,
}

/// The documents of a view at one moment.
struct Documents {
    metadata: MetadataAnswer,
    state: Bytes,
    final_document: Bytes,
}

impl Documents {
    /// Returns the documents, the initial document if it is not written yet, and what is needed to
    /// read the logs.
    fn look(view: &View, prices: &Prices) -> (Self, Option<Bytes>, Known) {
        let initial = view.outbox.iter().rev().find_map(|file| match file {
            OutFile::Initial(doc) => Some(to_json(doc)),
            OutFile::FinalArchive(..) => None,
        });
        let documents = Self {
            metadata: MetadataAnswer::of_view(view, prices),
            state: to_json(&view.state),
            final_document: to_json(&view.final_doc),
        };
        (documents, initial, Known::of(view))
    }
}
