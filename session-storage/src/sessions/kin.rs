//! Changes a session and its parent's list of children in one commit.
//!
//! Both are decided under both locks and appended to one journal group, with no await in between.
//! The requester may disconnect at any time, and the machine may stop, and there is still no child
//! without its entry in the list and no entry without its child.

use std::sync::Arc;

use parking_lot::MutexGuard;
use session_model::transition;
use session_model::{Code, Command, SessionId};

use super::refused::Refused;
use super::write::Attempt;
use super::{Sessions, Submitted, commit_refusal, now};
use crate::store::cells::{Cell, Loaded, Slot};

/// How a session's entry in its parent's list changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kin {
    /// The session is added to the list.
    Joins,
    /// The session is removed from the list, if it was deleted.
    Leaves,
}

/// Locks both slots. Neither is held while waiting for the other, so two requests for the same two
/// slots cannot deadlock.
async fn both<'c>(own: &'c Cell, parents: &'c Cell) -> (MutexGuard<'c, Slot>, MutexGuard<'c, Slot>) {
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
        kin: Kin,
        mut attempt: impl FnMut(&Arc<Cell>, &mut Slot) -> Result<Attempt, Refused>,
    ) -> Result<Submitted, Refused> {
        let Some(parent) = parent.filter(|parent| *parent != id && self.exists(parent)) else {
            return self.write(id, attempt).await;
        };
        let (cell, parents) = (self.store.cells.get(id), self.store.cells.get(parent));
        loop {
            let attempted =
                self.attempt_both(both(&cell, &parents).await, &cell, &parents, kin, &mut attempt)?;
            match attempted {
                Both::LoadParent => {
                    match self.load_to_write(&parents).await {
                        // The parent was quarantined just now and no longer has a list.
                        Err(refusal) if refusal.code == Code::SessionQuarantined => {}
                        loaded => loaded?,
                    }
                }
                Both::Done(Attempt::Load, _) => self.load_to_write(&cell).await?,
                Both::Done(own, list) => {
                    let answer = self.outcome_of(own).await?;
                    if let Some(Attempt::Stored { ticket, .. }) = list {
                        ticket.await.map_err(commit_refusal)?;
                    }
                    return Ok(answer);
                }
            }
        }
    }

    fn attempt_both(
        &self,
        (mut slot, mut parents_slot): (MutexGuard<'_, Slot>, MutexGuard<'_, Slot>),
        cell: &Arc<Cell>,
        parents: &Arc<Cell>,
        kin: Kin,
        attempt: &mut impl FnMut(&Arc<Cell>, &mut Slot) -> Result<Attempt, Refused>,
    ) -> Result<Both, Refused> {
        let Some(parent) = self.ready_to_write(parents, &mut parents_slot) else {
            return Ok(Both::LoadParent);
        };
        let _together = self.store.journal.together().map_err(commit_refusal)?;
        let own = attempt(cell, &mut slot)?;
        let is_gone = matches!(&*slot, Slot::Absent(_));
        // A session that already existed may have another parent, or none: the list follows the
        // session's own metadata.
        let is_its_child = matches!(
            &*slot,
            Slot::Loaded(own) if own.view.metadata.parent() == Some(parents.id.as_str())
        );
        let follows = if kin == Kin::Joins { is_its_child } else { is_gone };
        let list = match parent {
            Some(parent) if !matches!(own, Attempt::Load) && follows => {
                Some(self.attempt_list(parents, parent, &cell.id, kin)?)
            }
            Some(_) | None => None,
        };
        Ok(Both::Done(own, list))
    }

    fn attempt_list(
        &self,
        parents: &Arc<Cell>,
        parent: &mut Loaded,
        child: &SessionId,
        kin: Kin,
    ) -> Result<Attempt, Refused> {
        let at = now();
        let command = Command::LinkChild { child: child.to_string(), present: kin == Kin::Joins };
        let outcome = transition::decide(&parent.view, command, at)?;
        self.store_outcome(parents, parent, outcome, at, None)
    }
}

/// Result of an attempt on both sessions.
enum Both {
    /// The parent must be loaded first.
    LoadParent,
    /// Results for the session itself, and for its entry in the list.
    Done(Attempt, Option<Attempt>),
}
