//! The listeners of the service: TCP first, then the Unix socket.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::error::ServerError;
use crate::config::Config;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// The mode of the Unix socket: usable by its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// The sockets of a service. Dropping them removes the file of the Unix socket.
pub(super) struct Listeners {
    pub(super) tcp: Vec<TcpListener>,
    pub(super) unix: Option<(UnixListener, SocketFile)>,
}

/// The file of a Unix socket, removed on drop.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "failed to remove the socket's file");
        }
    }
}

impl Listeners {
    /// Opens all configured listeners.
    pub(super) fn open(config: &Config) -> Result<Self, ServerError> {
        let tcp = tcp(&config.host, config.port)?;
        let unix = config.socket_path.as_deref().map(unix).transpose()?;
        Ok(Self { tcp, unix })
    }

    /// Prints one line per address. Errors are ignored, because the reader of the pipe may have
    /// closed it.
    pub(super) fn announce(&self, out: &mut impl Write, scheme: &str) {
        for address in self
            .tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
        {
            let _ = writeln!(out, "listening on {scheme}://{address}");
        }
        if let Some((_, SocketFile(path))) = &self.unix {
            let _ = writeln!(out, "listening on unix:{}", path.display());
        }
        let _ = out.flush();
    }
}

fn failed(address: &impl ToString) -> impl FnOnce(io::Error) -> ServerError {
    let address = address.to_string();
    move |source| ServerError::Listen { address, source }
}

/// Whether only this machine can reach the address.
pub(super) fn is_loopback(host: &str, port: u16) -> Result<bool, ServerError> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(true);
    }
    let addresses = resolve(host, port).map_err(failed(&format!("{host}:{port}")))?;
    Ok(addresses
        .iter()
        .all(|address| address.ip().to_canonical().is_loopback()))
}

fn tcp(host: &str, port: u16) -> Result<Vec<TcpListener>, ServerError> {
    if host.eq_ignore_ascii_case("localhost") {
        return loopback(port);
    }
    let addresses = resolve(host, port).map_err(failed(&format!("{host}:{port}")))?;
    let listen = |address: SocketAddr| listen(address).map_err(failed(&address));
    addresses.into_iter().map(listen).collect()
}

/// Resolves an IP address, or all addresses of a name, without duplicates.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs()?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Listens on both loopback addresses with the same port; a machine may lack IPv6.
fn loopback(port: u16) -> Result<Vec<TcpListener>, ServerError> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let first = listen(v4).map_err(failed(&v4))?;
    let port = first.local_addr().map_or(port, |address| address.port());
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    match listen(v6) {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(&v6)(error)),
        Err(error) => {
            tracing::debug!(%error, "not listening on ::1");
            Ok(vec![first])
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    widen(&listener)?;
    Ok(listener)
}

/// Enlarges the backlog, because the library's default is too short for a thousand clients that
/// reconnect at the same moment.
fn widen(listener: &impl AsFd) -> io::Result<()> {
    Ok(rustix::net::listen(listener, BACKLOG)?)
}

fn unix(path: &Path) -> Result<(UnixListener, SocketFile), ServerError> {
    let bind = || {
        remove_unused_socket(path)?;
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        widen(&listener)?;
        Ok((listener, file))
    };
    bind().map_err(failed(&format!("unix:{}", path.display())))
}

/// Removes a socket that no process listens on any more; leaves any other file alone.
fn remove_unused_socket(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file that is no socket",
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_one_port_on_both_addresses() {
        let listeners = tcp("localhost", 0).unwrap();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0));
        assert_eq!(tcp("127.0.0.1", 0).unwrap().len(), 1);
        let error = tcp("127.0.0.1", ports[0]).err().unwrap().to_string();
        assert!(error.contains(&ports[0].to_string()), "{error}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (listener, file) = unix(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        assert!(
            unix(&path)
                .err()
                .unwrap()
                .to_string()
                .contains("another process")
        );
        drop(listener);
        std::mem::forget(file);
        let (_listener, file) = unix(&path).unwrap();
        drop(file);
        assert!(!path.exists(), "a stop removes it");
    }

    #[test]
    fn a_file_that_is_no_socket_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "keep me").unwrap();
        assert!(unix(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
    }
}
