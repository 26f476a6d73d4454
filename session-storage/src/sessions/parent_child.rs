//! Changes a session and its parent's list of children in one commit.
//!
//! Both are decided under both locks and appended to one journal group, with no await in between.
//! The requester may disconnect at any time, and the machine may stop, and there is still no child
//! without its entry in the list and no entry without its child.

use std::sync::Arc;

use parking_lot::MutexGuard;
use session_model::transition;
use session_model::{Code, Command, Refusal, SessionId};

use super::attempt::Attempt;
use super::service::Sessions;
use super::submitted::Submitted;
use crate::clock::now;
use session_store::engine::{CacheEntry, CachedSession, LoadedSession};

/// How a session's entry in its parent's list changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildLink {
    /// The session is added to the list.
    Joins,
    /// The session is removed from the list, if it was deleted.
    Leaves,
}

/// Locks both slots. Neither is held while waiting for the other, so two requests for the same two
/// slots cannot deadlock.
async fn both<'c>(
    own: &'c CacheEntry,
    parents: &'c CacheEntry,
) -> (MutexGuard<'c, CachedSession>, MutexGuard<'c, CachedSession>) {
    loop {
        {
            let slot = own.short().await;
            if let Some(parents) = parents.slot.try_lock() {
                return (slot, parents);
            }
        }
        drop(parents.short().await);
    }
}

impl Sessions {
    /// Like [`Sessions::write`], but also updates the parent's list of children. A parent that does
    /// not exist has no list.
    pub(super) async fn write_with_parent(
        &self,
        id: &SessionId,
        parent: Option<&SessionId>,
        kin: ChildLink,
        mut attempt: impl FnMut(&Arc<CacheEntry>, &mut CachedSession) -> Result<Attempt, Refusal>,
    ) -> Result<Submitted, Refusal> {
        let Some(parent) = parent.filter(|parent| *parent != id && self.exists(parent)) else {
            return self.write(id, attempt).await;
        };
        let cell = self.engine.cache().get(id);
        let parents = self.engine.cache().get(parent);
        loop {
            let attempted = self.attempt_both(
                both(&cell, &parents).await,
                &cell,
                &parents,
                kin,
                &mut attempt,
            )?;
            match attempted {
                None => {
                    match self.load_to_write(&parents).await {
                        // The parent was quarantined just now and no longer has a list.
                        Err(refusal) if refusal.code == Code::SessionQuarantined => {}
                        loaded => loaded?,
                    }
                }
                Some((Attempt::Load, _)) => self.load_to_write(&cell).await?,
                Some((Attempt::Keys(work), _)) => self.prepare_keys(&cell, work).await?,
                Some((own, list)) => {
                    let answer = self.outcome_of(own).await?;
                    if let Some(Attempt::Stored { ticket, .. }) = list {
                        ticket.await.map_err(Refusal::from)?;
                    }
                    return Ok(answer);
                }
            }
        }
    }

    fn attempt_both(
        &self,
        (mut slot, mut parents_slot): (
            MutexGuard<'_, CachedSession>,
            MutexGuard<'_, CachedSession>,
        ),
        cell: &Arc<CacheEntry>,
        parents: &Arc<CacheEntry>,
        kin: ChildLink,
        attempt: &mut impl FnMut(&Arc<CacheEntry>, &mut CachedSession) -> Result<Attempt, Refusal>,
    ) -> Result<Both, Refusal> {
        let Some(parent) = self.ready_to_write(parents, &mut parents_slot) else {
            return Ok(None);
        };
        let _together = self.engine.journal().together().map_err(Refusal::from)?;
        let own = attempt(cell, &mut slot)?;
        let is_gone = matches!(&*slot, CachedSession::Absent(_));
        // A session that already existed may have another parent, or none: the list follows the
        // session's own metadata.
        let is_its_child = matches!(
            &*slot,
            CachedSession::Loaded(own) if own.view.metadata.parent() == Some(parents.id.as_str())
        );
        let follows = if kin == ChildLink::Joins {
            is_its_child
        } else {
            is_gone
        };
        let list = match parent {
            Some(parent) if !matches!(own, Attempt::Load | Attempt::Keys(_)) && follows => {
                Some(self.attempt_list(parents, parent, &cell.id, kin)?)
            }
            Some(_) | None => None,
        };
        Ok(Some((own, list)))
    }

    fn attempt_list(
        &self,
        parents: &Arc<CacheEntry>,
        parent: &mut LoadedSession,
        child: &SessionId,
        kin: ChildLink,
    ) -> Result<Attempt, Refusal> {
        let at = now();
        let command = Command::LinkChild {
            child: child.to_string(),
            present: kin == ChildLink::Joins,
        };
        let outcome = transition::decide(&parent.view, command, at)?;
        self.store_outcome(parents, parent, outcome, at, None)
    }
}

/// Results for the session itself, and for its entry in the list; `None` if the parent must be
/// loaded first.
type Both = Option<(Attempt, Option<Attempt>)>;
