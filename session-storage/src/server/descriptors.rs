//! Divides the file descriptors that this process may have among connections and files.
//!
//! Files have priority: a client fails if its session cannot be opened for lack of a descriptor,
//! while a connection that is not accepted only waits. So descriptors are reserved for files, and
//! no more connections are accepted than fit beside this reserve. The reserve covers everything
//! that may be open at once: the logs being written, the logs that readers keep open, files of the
//! index of record keys, a few files
//! for each thread that is reading or writing, and what the process always has open. Under a low
//! limit the whole reserve shrinks, to half of the limit as long as that suffices.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use session_store::OpenFiles;

/// The maximum number of threads of one worker that read files.
const BLOCKING_THREADS: usize = 32;
/// How many files a thread has open at a time: the logs of a session.
const FILES_OF_A_THREAD: usize = 3;
/// Descriptors that the process always has open: the journal, snapshots, listeners, standard
/// streams, those of libraries.
const OWN: usize = 64;
/// Descriptors that each worker always has open.
const OWN_OF_A_WORKER: usize = 8;
/// The minimum for files, in addition to the above and to the files of one thread per worker.
const LEAST_FILES: usize = 32;
/// The minimum for connections.
const LEAST_CONNECTIONS: usize = 16;
/// The maximum number of connections beyond the limit: they wait for room or receive the error that
/// there is none.
const BEYOND: usize = 256;

/// The result of dividing the descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shares {
    /// The maximum number of admitted connections.
    pub(super) connections: usize,
    /// The maximum number of accepted connections, including those that will be refused.
    pub(super) accepted: usize,
    /// The number of threads per worker that read files.
    pub(super) blocking_threads: usize,
    /// The number of files that are kept open.
    pub(super) files: OpenFiles,
}

/// Raises the limit of open files as far as the system allows, and returns it.
pub(super) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = if current == maximum {
        current
    } else {
        match setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        ) {
            Ok(()) => maximum,
            Err(error) => {
                tracing::warn!(%error, "failed to raise the limit of open files");
                current
            }
        }
    };
    raised
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// Divides the limit; the error is the minimum limit that would suffice.
pub(super) fn share_out(limit: usize, config: &Config) -> Result<Shares, usize> {
    let own = OWN + OWN_OF_A_WORKER * config.workers;
    let kept = OpenFiles::default();
    let of_threads = FILES_OF_A_THREAD * BLOCKING_THREADS * config.workers;
    let most = kept.logs.get() + kept.readers + kept.keys + of_threads;
    let least_files = LEAST_FILES + FILES_OF_A_THREAD * config.workers;
    let files = (limit / 2).saturating_sub(own).clamp(least_files, most);
    let least = own + least_files + LEAST_CONNECTIONS * 2;
    let for_connections = limit
        .checked_sub(own + files)
        .filter(|for_connections| *for_connections >= LEAST_CONNECTIONS * 2)
        .ok_or(least)?;
    let beyond = (for_connections / 8).clamp(LEAST_CONNECTIONS / 2, BEYOND);
    let share = |of: usize| (of * files / most).max(1);
    let connections = config.max_connections.min(for_connections - beyond);
    Ok(Shares {
        connections,
        accepted: connections + beyond,
        blocking_threads: share(BLOCKING_THREADS),
        files: OpenFiles {
            logs: NonZeroUsize::new(share(kept.logs.get())).unwrap_or(NonZeroUsize::MIN),
            readers: share(kept.readers),
            keys: share(kept.keys),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn config(workers: usize, connections: usize) -> Config {
        let config = Layers::default().load().unwrap().config;
        Config {
            workers,
            max_connections: connections,
            ..config
        }
    }

    /// The maximum number of descriptors that may be open at once.
    fn used(shares: &Shares, workers: usize) -> usize {
        let threads = workers * shares.blocking_threads * FILES_OF_A_THREAD;
        let files = shares.files;
        let kept = files.logs.get() + files.readers + files.keys;
        OWN + OWN_OF_A_WORKER * workers + threads + kept + shares.accepted
    }

    #[test]
    fn everything_together_fits_under_the_limit() {
        for workers in [1, 2, 16, 64] {
            for limit in [256, 512, 1024, 4096, 20_000, 65_536, 1 << 20] {
                for connections in [1, 100, 25_000, 1_000_000] {
                    match share_out(limit, &config(workers, connections)) {
                        Ok(shares) => {
                            assert!(
                                used(&shares, workers) <= limit,
                                "{workers} {limit}: {shares:?}"
                            );
                            assert!(
                                shares.connections >= LEAST_CONNECTIONS.min(connections),
                                "{shares:?}"
                            );
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
        assert_eq!(shares.connections, 25_000);
        assert_eq!(shares.blocking_threads, BLOCKING_THREADS);
        assert_eq!(shares.files, OpenFiles::default());
        let shares = share_out(20_000, &config(2, 25_000)).unwrap();
        assert!(
            shares.connections < 20_000 && shares.connections > 18_000,
            "{shares:?}"
        );
    }
}
