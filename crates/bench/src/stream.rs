//! Where a server listens, and connections to it: TCP or a Unix socket, blocking or not.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// After this long without an answer a request has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connection that tasks share a thread for.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection that a thread waits for.
pub(crate) trait BlockingDuplex: Read + Write + Send {}
impl<T: Read + Write + Send> BlockingDuplex for T {}

impl Address {
    /// Connects within a runtime.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = tokio::net::TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(tokio::net::UnixStream::connect(path).await?),
        })
    }

    /// Connects a thread.
    pub(crate) fn connect_blocking(&self) -> io::Result<Box<dyn BlockingDuplex>> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = std::net::TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            Self::Unix(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        })
    }
}
