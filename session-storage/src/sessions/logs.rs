//! Reads pages of a log on the blocking pool, at most one piece ahead of the client. Records pass
//! through as the bytes that were stored.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use session_model::{Code, LogKind, Refusal, SessionId};
use session_store::log_page::LogPage;
pub use session_store::log_page::LogQuery;
use session_store::refusals::not_found;

use super::pieces::{Piece, RecordStream};
use super::service::Sessions;

/// A page of a log whose first piece was read.
pub(super) struct OpenPage {
    page: LogPage,
    first: Piece<Vec<u8>>,
}

impl OpenPage {
    /// Reads the first piece before the response starts, so that most errors become error responses.
    /// Blocks on the disk.
    pub(super) fn read(mut page: LogPage) -> Result<Self, Refusal> {
        let first = next_piece(&mut page)?;
        Ok(Self { page, first })
    }

    /// Streams the page. Reads at most one piece ahead.
    pub(super) fn stream(self) -> RecordStream {
        let rest = (!self.first.is_last).then_some(self.page);
        let first = Ok(self.first);
        let rest = stream::unfold(rest, |page| async move {
            let mut page = page?;
            let read = actix_web::web::block(move || (next_piece(&mut page), page)).await;
            Some(match read {
                Ok((Ok(piece), page)) => {
                    let page = (!piece.is_last).then_some(page);
                    (Ok(piece), page)
                }
                Ok((Err(refusal), _)) => (Err(refusal), None),
                Err(_) => (Err(unread()), None),
            })
        });
        Box::pin(stream::iter([first]).chain(rest))
    }
}

fn next_piece(page: &mut LogPage) -> Result<Piece<Vec<u8>>, Refusal> {
    let content = page.piece()?;
    let is_last = content.is_none() || page.is_over();
    let content = content.unwrap_or_default();
    Ok(Piece { content, is_last })
}

fn unread() -> Refusal {
    Refusal::new(Code::Internal, "the log could not be read")
}

impl Sessions {
    /// Returns the records of a log.
    pub async fn log(
        &self,
        id: &SessionId,
        log: LogKind,
        query: LogQuery,
    ) -> Result<RecordStream, Refusal> {
        if !self.exists(id) {
            self.require(id).await?;
        }
        let engine = Arc::clone(&self.engine);
        let name = id.clone();
        let opened = actix_web::web::block(move || {
            OpenPage::read(LogPage::open(&engine, &name, log, query, None)?)
        });
        Ok(opened.await.map_err(|_| unread())??.stream())
    }

    /// Rejects a session that does not exist.
    pub(super) async fn require(&self, id: &SessionId) -> Result<(), Refusal> {
        self.read(id, |_| ())
            .await
            .map_err(|refusal| match refusal.code {
                Code::SessionNotFound => not_found(id),
                _ => refusal,
            })
    }
}
