//! How the descriptors that the system lets this process have are shared out.
//!
//! Files come first: a session that cannot be opened for want of a descriptor is lost to whoever asks for it, while a
//! connection that is not accepted waits. So there is a reserve for files, and no more connections are accepted than fit
//! beside it. The reserve is what may be open at once: logs that are written to, logs that readers keep open, a few files
//! for each thread that reads or writes at the moment, and what the process has open anyway. Under a low limit all of it
//! shrinks, to half of the limit as far as that suffices.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::store::OpenFiles;

/// How many files one worker may read at a time.
const BLOCKING_THREADS: usize = 32;
/// How many files a thread has open at a time: the logs of a session.
const FILES_OF_A_THREAD: usize = 3;
/// What the process has open whatever happens: the journal, snapshots, listeners, standard streams, libraries' own.
const OWN: usize = 64;
/// The same for each worker.
const OWN_OF_A_WORKER: usize = 8;
/// The least that is left for files beside that, and those of a thread of each worker.
const LEAST_FILES: usize = 32;
/// The least that is left for connections.
const LEAST_CONNECTIONS: usize = 16;
/// The most connections beyond those that are let in: they wait for room, or are told that there is none.
const BEYOND: usize = 256;

/// Who gets how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shares {
    /// Connections that are let in.
    pub(super) connections: usize,
    /// Connections that are accepted, also to be turned away.
    pub(super) accepted: usize,
    /// Threads of a worker that read files.
    pub(super) blocking_threads: usize,
    /// Files that are kept open.
    pub(super) files: OpenFiles,
}

/// Raises the limit as far as the system allows, and answers it.
pub(super) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = if current == maximum {
        current
    } else {
        match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            Ok(()) => maximum,
            Err(error) => {
                tracing::warn!(%error, "the limit of open files could not be raised");
                current
            }
        }
    };
    raised.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Shares a limit out; an error names the least that would do.
pub(super) fn share_out(limit: usize, config: &Config) -> Result<Shares, usize> {
    let own = OWN + OWN_OF_A_WORKER * config.workers;
    let kept = OpenFiles::default();
    let of_threads = FILES_OF_A_THREAD * BLOCKING_THREADS * config.workers;
    let most = kept.logs.get() + kept.readers + of_threads;
    let least_files = LEAST_FILES + FILES_OF_A_THREAD * config.workers;
    let files = (limit / 2).saturating_sub(own).clamp(least_files, most);
    let least = own + least_files + LEAST_CONNECTIONS * 2;
    let room = limit.checked_sub(own + files).filter(|room| *room >= LEAST_CONNECTIONS * 2).ok_or(least)?;
    let beyond = (room / 8).clamp(LEAST_CONNECTIONS / 2, BEYOND);
    let share = |of: usize| (of * files / most).max(1);
    let connections = config.max_connections.min(room - beyond);
    Ok(Shares {
        connections,
        accepted: connections + beyond,
        blocking_threads: share(BLOCKING_THREADS),
        files: OpenFiles {
            logs: NonZeroUsize::new(share(kept.logs.get())).unwrap_or(NonZeroUsize::MIN),
            readers: share(kept.readers),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn config(workers: usize, connections: usize) -> Config {
        let config = Layers::default().load().unwrap().config;
        Config { workers, max_connections: connections, ..config }
    }

    /// The most that may be open at once.
    fn used(shares: &Shares, workers: usize) -> usize {
        let threads = workers * shares.blocking_threads * FILES_OF_A_THREAD;
        let kept = shares.files.logs.get() + shares.files.readers;
        OWN + OWN_OF_A_WORKER * workers + threads + kept + shares.accepted
    }

    #[test]
    fn everything_together_fits_under_the_limit() {
        for workers in [1, 2, 16, 64] {
            for limit in [256, 512, 1024, 4096, 20_000, 65_536, 1 << 20] {
                for connections in [1, 100, 25_000, 1_000_000] {
                    match share_out(limit, &config(workers, connections)) {
                        Ok(shares) => {
                            assert!(used(&shares, workers) <= limit, "{workers} {limit}: {shares:?}");
                            assert!(shares.connections >= LEAST_CONNECTIONS.min(connections), "{shares:?}");
                        }
                        Err(least) => {
                            assert!(limit < least, "{workers} {limit}");
                            assert!(share_out(least, &config(workers, connections)).is_ok());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_limit_that_is_high_enough_takes_nothing_away() {
        let shares = share_out(65_536, &config(2, 25_000)).unwrap();
        assert_eq!((shares.connections, shares.blocking_threads), (25_000, BLOCKING_THREADS));
        assert_eq!(shares.files, OpenFiles::default());
        let shares = share_out(20_000, &config(2, 25_000)).unwrap();
        assert!(shares.connections < 20_000 && shares.connections > 18_000, "{shares:?}");
    }
}
