//! The peers: what each is asked to do for one action, and how it is emptied between repeats.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;

use crate::caller::Caller;
use crate::closed_loop::{ClosedLoop, Window};
use crate::dialect::Dialect;
use crate::dialect::nats::{self, Nats};
use crate::dialect::postgres::{self, Postgres};
use crate::dialect::redis::{self, Redis};
use crate::sample::Run;
use crate::stream::Address;

/// A store that people would use instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// XADD, append-only file, synced always.
    Redis,
    /// One INSERT a commit, synced.
    Postgres,
    /// JetStream's file store, which doesn't sync.
    Nats,
}

impl Peer {
    /// As the table names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis `always`",
            Self::Postgres => "PostgreSQL",
            Self::Nats => "NATS JetStream (unsynced)",
        }
    }

    /// Empties it and puts the load of so many connections on it.
    pub(crate) fn run(
        self,
        address: SocketAddr,
        sessions: usize,
        connections: usize,
        window: Window,
    ) -> Result<Run> {
        let address = Address::Tcp(address);
        self.empty(&address)?;
        let dialect: Rc<dyn Dialect> = match self {
            Self::Redis => Rc::new(Redis { sessions }),
            Self::Postgres => Rc::new(Postgres { sessions }),
            Self::Nats => Rc::new(Nats { sessions }),
        };
        ClosedLoop {
            dialect,
            address,
            connections,
            watched: None,
        }
        .run(window)
    }

    fn empty(self, address: &Address) -> Result<()> {
        match self {
            Self::Redis => {
                Caller::connect(address, redis::answer)?.call(&redis::command(&["FLUSHALL"]))?;
            }
            Self::Postgres => {
                let mut caller = Caller::connect(address, postgres::ready)?;
                caller.call(&postgres::startup())?;
                caller.call(&postgres::query(postgres::TABLE))?;
            }
            Self::Nats => {
                let mut caller = Caller::connect(address, nats::answer)?;
                caller.call_until(&nats::greeting(0), nats::greeted)?;
                caller.call(&nats::create_stream())?;
                caller.call(&nats::purge_stream())?;
            }
        }
        Ok(())
    }
}
