//! What every row gets: how to start servers, which peers there are, how long to measure.

use std::fs;
use std::net::SocketAddr;
use std::path::absolute;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::RunOptions;
use crate::closed_loop::Window;
use crate::peers::Peer;
use crate::process::Launch;
use crate::report;

/// The sessions that appends are spread over.
pub(crate) const SESSIONS: usize = 64;

/// The frame of one run of the program.
pub(crate) struct Bench {
    pub(crate) launch: Launch,
    /// Another build of the service, to compare with.
    pub(crate) against: Option<Launch>,
    pub(crate) window: Window,
    pub(crate) repeats: usize,
    /// Sizes and durations of the rows that have their own.
    pub(crate) scale: Scale,
    peers: [(Peer, Option<SocketAddr>); 3],
}

/// What `--quick` shrinks besides the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Sessions that the start row stores, of 100 kB each.
    pub(crate) stored_sessions: usize,
    /// Starts after a kill.
    pub(crate) starts: usize,
    /// How long 1,000 subscribers are paced, and how long each half without them is.
    pub(crate) paced: Duration,
    pub(crate) unattended: Duration,
    /// How long deliveries at full speed are counted, and how often.
    pub(crate) full_speed: Window,
    pub(crate) full_speed_repeats: usize,
}

const SECOND: Duration = Duration::from_secs(1);
const FULL: Scale = Scale {
    stored_sessions: 10_000,
    starts: 5,
    paced: Duration::from_secs(20),
    unattended: Duration::from_secs(10),
    full_speed: Window {
        warm_up: SECOND,
        measured: Duration::from_secs(4),
    },
    // The bare broadcast alone varies twofold when anything else runs.
    full_speed_repeats: 7,
};
const QUICK: Scale = Scale {
    stored_sessions: 1_000,
    starts: 2,
    paced: Duration::from_secs(4),
    unattended: Duration::from_secs(2),
    full_speed: Window {
        warm_up: SECOND,
        measured: Duration::from_secs(2),
    },
    full_speed_repeats: 1,
};

impl Bench {
    /// Reads the options; makes the folder for storages.
    pub(crate) fn new(options: &RunOptions) -> Result<Self> {
        let dir = absolute(&options.dir)?;
        fs::create_dir_all(&dir)
            .with_context(|| format!("failed to create `{}`", dir.display()))?;
        let millis = Duration::from_millis;
        let (window, repeats, scale) = if options.quick {
            (
                Window {
                    warm_up: millis(200),
                    measured: millis(600),
                },
                2,
                QUICK,
            )
        } else {
            (
                Window {
                    warm_up: SECOND,
                    measured: 4 * SECOND,
                },
                5,
                FULL,
            )
        };
        let launch = Launch {
            binary: absolute(&options.service)?,
            workers: options.workers,
            dir,
        };
        let against = options.against.as_ref().map(|binary| {
            Ok::<_, std::io::Error>(Launch {
                binary: absolute(binary)?,
                ..launch.clone()
            })
        });
        Ok(Self {
            launch,
            against: against.transpose()?,
            window,
            repeats,
            scale,
            peers: [
                (Peer::Redis, options.redis),
                (Peer::Postgres, options.postgres),
                (Peer::Nats, options.nats),
            ],
        })
    }

    /// The same with the durations of the live rows.
    pub(crate) fn at_full_speed(&self) -> Self {
        Self {
            launch: self.launch.clone(),
            against: self.against.clone(),
            window: self.scale.full_speed,
            repeats: self.scale.full_speed_repeats,
            scale: self.scale,
            peers: self.peers,
        }
    }

    /// Where this peer listens, if it is there.
    pub(crate) fn peer(&self, peer: Peer) -> Option<SocketAddr> {
        self.peers
            .iter()
            .find(|(known, _)| *known == peer)
            .and_then(|(_, address)| *address)
    }

    /// Says what is going on.
    #[expect(
        clippy::unused_self,
        reason = "rows speak through the bench they were given"
    )]
    pub(crate) fn progress(&self, message: &str) {
        report::progress(message);
    }
}
