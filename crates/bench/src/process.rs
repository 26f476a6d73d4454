//! The servers that a row starts for itself: the service on a fresh directory, and the bare
//! handlers.
//!
//! A server is killed when its row drops it, and what it stored is deleted. The ids of all
//! servers are appended to `pids`, so that the program that started the generator can end them should it die
//! itself.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::caller::Caller;
use crate::dialect::http;
use crate::stream::Address;

/// How long a server may take until it answers.
const STARTING: Duration = Duration::from_mins(2);

/// A running server.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: Address,
    /// From the start of the process until `/health` answered 200.
    pub(crate) started_in: Duration,
}

impl Process {
    /// Starts a server that is told its port by `command`, and waits until it is healthy.
    pub(crate) fn start(
        dir: &Path,
        name: &str,
        command: impl FnOnce(u16) -> Command,
    ) -> Result<Self> {
        let port = free_port()?;
        let log = dir.join(format!("{name}-{port}.log"));
        let output =
            File::create(&log).with_context(|| format!("failed to create `{}`", log.display()))?;
        let mut command = command(port);
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let start = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("failed to start {name}: {command:?}"))?;
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut process = Self {
            child,
            address,
            started_in: Duration::ZERO,
        };
        note_pid(dir, process.child.id())?;
        process.wait_until_healthy(start, &log)?;
        process.started_in = start.elapsed();
        Ok(process)
    }

    fn wait_until_healthy(&mut self, start: Instant, log: &Path) -> Result<()> {
        while !self.is_healthy() {
            let log = || fs::read_to_string(log).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the server ended at its start ({status}): {}", log());
            }
            ensure!(
                start.elapsed() < STARTING,
                "the server isn't healthy after {STARTING:?}: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn is_healthy(&self) -> bool {
        Caller::connect(&self.address, http::answer)
            .and_then(|mut caller| caller.call(&http::get("/health")))
            .is_ok()
    }

    /// Resident memory in kB.
    pub(crate) fn resident_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS in the status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Its processor time, to be read by others.
    pub(crate) fn cpu(&self) -> Cpu {
        Cpu {
            pid: self.child.id(),
        }
    }

    /// Ends the server as a power cut or the kernel would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processor time of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pid: u32,
}

impl Cpu {
    /// What all its threads have spent so far, in the system too.
    pub(crate) fn spent(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name of the program may hold blanks; it ends with the last parenthesis.
        let (_, fields) = stat.rsplit_once(") ").context("no name in the stat")?;
        let ticks = |n: usize| {
            fields
                .split(' ')
                .nth(n)
                .and_then(|ticks| ticks.parse::<u64>().ok())
        };
        let (user, system) = ticks(11).zip(ticks(12)).context("no times in the stat")?;
        Ok(Duration::from_secs(user + system)
            / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }
}

/// When the service syncs: its `STORAGE_SYNC`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sync {
    Always,
    No,
}

/// The service and its storage, both gone when this is dropped.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Its `SOCKET_PATH`.
    pub(crate) socket: PathBuf,
    storage: PathBuf,
}

/// What the service needs to know to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    pub(crate) workers: usize,
    /// Where logs and storages go.
    pub(crate) dir: PathBuf,
}

impl Launch {
    /// Starts the service on the storage of this name, fresh or left by a service that was killed.
    pub(crate) fn start(&self, name: &str, sync: Sync) -> Result<Service> {
        let storage = self.dir.join(format!("storage-{name}"));
        let socket = self.dir.join(format!("{name}.sock"));
        let process = Process::start(&self.dir, "service", |port| {
            let mut command = Command::new(&self.binary);
            command
                .env_clear()
                .env("PORT", port.to_string())
                .env("HOST", "127.0.0.1");
            command
                .env("STORAGE_PATH", &storage)
                .env("SOCKET_PATH", &socket);
            command.env(
                "STORAGE_SYNC",
                match sync {
                    Sync::Always => "always",
                    Sync::No => "no",
                },
            );
            command
                .env("WORKERS", self.workers.to_string())
                .env("RUST_LOG", "warn");
            command
        })?;
        Ok(Service {
            process,
            socket,
            storage,
        })
    }

    /// Runs the service's binary on the storage of this name to its end; answers what it printed.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("STORAGE_PATH", self.dir.join(format!("storage-{name}")))
            .args(arguments);
        let output = command
            .output()
            .with_context(|| format!("failed to run {command:?}"))?;
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts this program as one of the bare handlers.
    pub(crate) fn bare(&self, subcommand: &str) -> Result<Process> {
        let program = std::env::current_exe()?;
        Process::start(&self.dir, subcommand, |port| {
            let mut command = Command::new(program);
            command.args([
                subcommand,
                "--port",
                &port.to_string(),
                "--workers",
                &self.workers.to_string(),
            ]);
            command
        })
    }
}

impl Service {
    /// The address for TCP clients.
    pub(crate) fn address(&self) -> &Address {
        &self.process.address
    }

    /// Where it stores.
    pub(crate) fn storage(&self) -> &Path {
        &self.storage
    }

    /// Kills the service and leaves its storage behind.
    pub(crate) fn abandon(mut self) {
        self.process.kill();
        self.storage = PathBuf::new();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill();
        if !self.storage.as_os_str().is_empty() {
            fs::remove_dir_all(&self.storage).ok();
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn note_pid(dir: &Path, pid: u32) -> Result<()> {
    let mut pids = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("pids"))?;
    Ok(writeln!(pids, "{pid}")?)
}
