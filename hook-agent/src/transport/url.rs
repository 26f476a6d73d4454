//! The service's address, parsed once at the edge.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// Where the service is: `http://host:port`, `https://host:port` (each with an optional path) or `unix:///path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    text: String,
    pub(crate) target: Target,
    /// A path that goes before every route, without a slash at its end.
    pub(crate) prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Http { host: String, port: u16 },
    Https,
    Unix(PathBuf),
}

impl ServiceUrl {
    /// Parses an address; the error names `SESSION_SERVICE_URL` and what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().trim_end_matches('/');
        if let Some(path) = text.strip_prefix("unix://") {
            return Self::unix(text, path);
        }
        let (target, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (None, rest),
            (None, Some(rest)) => (Some(Target::Https), rest),
            (None, None) => {
                return refuse(text, "it starts with none of `http://`, `https://` and `unix://`");
            }
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = authority_parts(text, authority)?;
        if target.is_some() && !cfg!(feature = "https") {
            return refuse(text, "this build is without `https`");
        }
        let target = target.unwrap_or(Target::Http { host, port });
        Ok(Self { text: text.to_owned(), target, prefix: path.to_owned() })
    }

    fn unix(text: &str, path: &str) -> Result<Self, Error> {
        if !path.starts_with('/') {
            return refuse(text, "the path after `unix://` must be absolute");
        }
        Ok(Self { text: text.to_owned(), target: Target::Unix(PathBuf::from(path)), prefix: String::new() })
    }

    /// The address as given, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a proxy or TLS is in the way. A service on this machine is never asked for through a proxy.
    #[cfg(feature = "https")]
    pub(crate) fn needs_reqwest(&self) -> bool {
        match &self.target {
            Target::Https => true,
            Target::Unix(_) => false,
            Target::Http { host, .. } => !is_local(host) && proxy_is_set(),
        }
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn authority_parts(text: &str, authority: &str) -> Result<(String, u16), Error> {
    if authority.contains('@') {
        return refuse(text, "it holds a user name; use `SESSION_TOKEN`");
    }
    if authority.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return refuse(text, "its host holds a blank");
    }
    let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&authority[..at], authority[at + 1..].parse::<u16>().ok()),
        None => (authority, Some(80)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match port {
        _ if host.is_empty() => refuse(text, "it names no host"),
        Some(port) => Ok((host.to_owned(), port)),
        None => refuse(text, "its port is not a number up to 65535"),
    }
}

fn refuse<T>(text: &str, reason: &str) -> Result<T, Error> {
    Err(Error::Config { name: "SESSION_SERVICE_URL", reason: format!("`{text}`: {reason}") })
}

/// `localhost` and loopback addresses.
pub(crate) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(feature = "https")]
fn proxy_is_set() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().any(|name| std::env::var_os(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = ServiceUrl::parse("http://[::1]:9001/base/").unwrap();
        assert_eq!(url.target, Target::Http { host: "::1".to_owned(), port: 9001 });
        assert_eq!(url.prefix, "/base");
        assert_eq!(
            ServiceUrl::parse("unix:///run/s.sock").unwrap().target,
            Target::Unix("/run/s.sock".into())
        );
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_by_name() {
        for text in
            ["", "localhost:9000", "http://", "http://h:port", "unix://run/s", "http://u:p@h", "http://a b"]
        {
            let error = ServiceUrl::parse(text).unwrap_err();
            assert!(error.to_string().contains("SESSION_SERVICE_URL"), "{text}: {error}");
        }
    }
}
