//! The URL of a service as an operator writes it: `https://host[:port]`, or `http://`.

use std::fmt;
use std::str::FromStr;

/// The URL of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Whether the service uses TLS.
    pub is_encrypted: bool,
    /// The host name or IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they were given.
    authority: String,
}

/// The error for a malformed URL; its text says what is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be `https://host[:port]` or `http://host[:port]`, without a path or a password")]
pub struct Malformed;

impl FromStr for Address {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.split_once("://").ok_or(Malformed)?;
        let (is_encrypted, standard) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return Err(Malformed),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(allowed) {
            return Err(Malformed);
        }
        let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            ),
            Some(None) => return Err(Malformed),
            None => authority
                .split_once(':')
                .map_or((authority, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or(Malformed)? {
            "" if !authority.ends_with(':') => standard,
            digits => digits.parse().map_err(|_| Malformed)?,
        };
        if host.is_empty() {
            return Err(Malformed);
        }
        Ok(Self {
            is_encrypted,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
        })
    }
}

impl Address {
    /// Host and port in the form of the header `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.is_encrypted { "https" } else { "http" },
            self.authority
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_ports_and_nothing_else_is_taken() {
        for (text, encrypted, host, port) in [
            ("https://recorder.example", true, "recorder.example", 443),
            ("HTTPS://recorder:9443/", true, "recorder", 9443),
            ("http://127.0.0.1:9000", false, "127.0.0.1", 9000),
            ("http://[::1]:9000", false, "::1", 9000),
            ("http://[::1]", false, "::1", 80),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.is_encrypted, encrypted);
            assert_eq!(address.host.as_str(), host);
            assert_eq!(address.port, port);
        }
        for text in [
            "",
            "recorder:9000",
            "ftp://x",
            "https://",
            "https://:1",
            "https://x:",
            "https://x:70000",
            "https://x/api",
            "https://user:password@x",
            "https://a b",
            "https://[::1",
            "https://[::1]x",
            "https://x?y",
        ] {
            assert_eq!(text.parse::<Address>(), Err(Malformed), "{text}");
        }
    }
}
