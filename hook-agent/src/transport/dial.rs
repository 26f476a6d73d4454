//! Opens a TCP connection to a host by name, with one timeout for name resolution and connecting
//! together.
//!
//! The system's resolver has no timeout and takes many seconds when its name server is away, so a
//! separate thread calls it. There is never more than one such thread: an attempt that finds it
//! stuck waits for the same result. The thread belongs to one transport, so nothing of it has to
//! survive a `fork`, and a process does not wait for it to exit.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::message::TransportError;
use super::url::is_local;

type Found = io::Result<Vec<SocketAddr>>;
type Resolver = dyn Fn(&str, u16) -> Found + Send + Sync;

/// Connects to one host, repeatedly.
pub(super) struct Dial {
    resolver: Arc<Resolver>,
    /// A lookup whose result no attempt has received yet.
    pending: Option<Receiver<Found>>,
}

impl Dial {
    pub(super) fn new() -> Self {
        Self::with(Arc::new(|host: &str, port| {
            Ok((host, port).to_socket_addrs()?.collect())
        }))
    }

    fn with(resolver: Arc<Resolver>) -> Self {
        Self {
            resolver,
            pending: None,
        }
    }

    /// Connects to the host. Each address gets a share of the remaining time, so that an address
    /// that does not respond leaves time for the next.
    pub(super) fn connect(
        &mut self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<TcpStream, TransportError> {
        let deadline = Instant::now() + timeout;
        let found = self
            .addresses(host, port, deadline)
            .map_err(|error| failed(host, &error))?;
        let none = if found.is_empty() {
            "the host name has no address"
        } else {
            "not connected in time"
        };
        let mut last = failed(host, &none);
        for (address, shares) in found.iter().zip((1..=found.len()).rev()) {
            let share = left(deadline) / shares as u32;
            if share.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = failed(host, &format!("`{address}`: {error}")),
            }
        }
        Err(last)
    }

    /// Returns the host's addresses. `localhost` needs no name server; it may be either loopback
    /// address.
    fn addresses(&mut self, host: &str, port: u16, deadline: Instant) -> Found {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::from((address, port))]);
        }
        if is_local(host) {
            let loopback: [IpAddr; 2] = [[127, 0, 0, 1].into(), [0, 0, 0, 0, 0, 0, 0, 1].into()];
            return Ok(loopback
                .map(|address| SocketAddr::from((address, port)))
                .into());
        }
        self.looked_up(host, port, deadline)
    }

    fn looked_up(&mut self, host: &str, port: u16, deadline: Instant) -> Found {
        let pending = match self
            .pending
            .take()
            .map(|pending| (pending.try_recv(), pending))
        {
            // The result came too late for the attempt that requested it.
            Some((Ok(Ok(found)), _)) => return Ok(found),
            Some((Err(TryRecvError::Empty), pending)) => pending,
            // An old failure says nothing about the present.
            Some((Ok(Err(_)) | Err(TryRecvError::Disconnected), _)) | None => {
                self.ask(host, port)?
            }
        };
        match pending.recv_timeout(left(deadline)) {
            Ok(found) => found,
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the lookup broke off")),
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(pending);
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the host name was not resolved in time",
                ))
            }
        }
    }

    fn ask(&self, host: &str, port: u16) -> io::Result<Receiver<Found>> {
        let (sender, pending) = sync_channel(1);
        let resolver = Arc::clone(&self.resolver);
        let host = host.to_owned();
        let thread = std::thread::Builder::new().name("hook-agent-name".to_owned());
        // If the transport is gone, nobody receives the result.
        thread.spawn(move || sender.send(resolver(&host, port)).is_ok())?;
        Ok(pending)
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn failed(host: &str, reason: &dyn std::fmt::Display) -> TransportError {
    TransportError::Connect(format!("`{host}`: {reason}"))
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
