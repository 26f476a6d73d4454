//! The service's URL, parsed once when the settings are read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::Error;

/// The service's URL: `http://host:port`, `https://host:port` (each with an optional path) or
/// `unix:///path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    text: String,
    pub(crate) target: Target,
    /// A path before every route, without a trailing slash.
    pub(crate) prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Http { host: String, port: u16 },
    Https,
    Unix(PathBuf),
}

impl ServiceUrl {
    /// Parses a URL. The error names `SESSION_SERVICE_URL` and what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = with_lower_scheme(text.trim().trim_end_matches('/'));
        let text = text.as_str();
        if let Some(path) = text.strip_prefix("unix://") {
            return Self::unix(text, path);
        }
        let (target, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (None, rest),
            (None, Some(rest)) => (Some(Target::Https), rest),
            (None, None) => {
                return refuse(text, "start it with `http://`, `https://` or `unix://`");
            }
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = authority_parts(text, authority)?;
        if target.is_some() && !cfg!(feature = "https") {
            return refuse(
                text,
                "this build has no TLS: build it with the feature `https`",
            );
        }
        let target = target.unwrap_or(Target::Http { host, port });
        Ok(Self {
            text: text.to_owned(),
            target,
            prefix: path.to_owned(),
        })
    }

    fn unix(text: &str, path: &str) -> Result<Self, Error> {
        if !path.starts_with('/') {
            return refuse(text, "its path is not absolute: write `unix:///PATH`");
        }
        Ok(Self {
            text: text.to_owned(),
            target: Target::Unix(PathBuf::from(path)),
            prefix: String::new(),
        })
    }

    /// Returns the URL as given, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a proxy or TLS is needed. A service on this machine is never requested
    /// through a proxy.
    #[cfg(feature = "https")]
    pub(crate) fn needs_reqwest(&self) -> bool {
        match &self.target {
            Target::Https => true,
            Target::Unix(_) => false,
            Target::Http { host, .. } => {
                !is_local(host) && proxy_is_set() && !self.bypasses_proxies()
            }
        }
    }

    /// Returns whether `NO_PROXY` names the service.
    #[cfg(feature = "https")]
    pub(crate) fn bypasses_proxies(&self) -> bool {
        let named = ["no_proxy", "NO_PROXY"]
            .iter()
            .find_map(|name| std::env::var(name).ok());
        named.is_some_and(|list| self.is_named_in(&list))
    }

    /// Returns whether the list names the service: as `*`, as a name with or without a port, or by
    /// a suffix such as `.example.org` or `*.example.org`. Address ranges are left to reqwest.
    #[cfg(feature = "https")]
    fn is_named_in(&self, list: &str) -> bool {
        let identity = service_identity(&self.text);
        let authority = identity
            .split("://")
            .nth(1)
            .unwrap_or_default()
            .split('/')
            .next()
            .unwrap_or_default();
        let (host, port) = split_authority(authority);
        list.split([',', ' '])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .any(|entry| {
                let entry = entry.to_ascii_lowercase();
                let (name, wanted) = split_authority(&entry);
                let suffix = name.trim_start_matches('*').trim_start_matches('.');
                let is_host =
                    name == "*" || host == suffix || host.ends_with(&format!(".{suffix}"));
                is_host && wanted.is_none_or(|wanted| port == Some(wanted))
            })
    }
}

/// Returns whether two URLs refer to the same service, however they are spelled.
pub(crate) fn is_same_service(one: &str, other: &str) -> bool {
    one == other || service_identity(one) == service_identity(other)
}

/// Normalizes a URL: a lower-case name, `localhost` for the loopback addresses, an explicit port.
/// Text that is not a URL is returned as it is.
pub(crate) fn service_identity(text: &str) -> String {
    let text = text.trim();
    let Ok(url) = ServiceUrl::parse(text) else {
        return text.to_owned();
    };
    let (scheme, default) = match &url.target {
        Target::Unix(path) => return format!("unix://{}", path.display()),
        Target::Http { .. } => ("http", 80),
        Target::Https => ("https", 443),
    };
    let authority = url.text[scheme.len() + 3..]
        .split('/')
        .next()
        .unwrap_or_default();
    let (host, port) = split_authority(authority);
    let host = if is_loopback(host) {
        "localhost".to_owned()
    } else {
        host.to_ascii_lowercase()
    };
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(default);
    format!("{scheme}://{host}:{port}{}", url.prefix)
}

/// Returns whether a host is this machine's `127.0.0.1` or `::1`, also in forms that only
/// `inet_aton` accepts (`127.1`).
fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address == Ipv4Addr::LOCALHOST,
        Ok(IpAddr::V6(address)) => {
            address == Ipv6Addr::LOCALHOST || address.to_ipv4_mapped() == Some(Ipv4Addr::LOCALHOST)
        }
        Err(_) => short_ipv4(host) == Some(Ipv4Addr::LOCALHOST),
    }
}

/// Parses one to four numbers, decimal, octal or hexadecimal; the last one fills the rest of the
/// address.
fn short_ipv4(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.to_ascii_lowercase() {
        hex if hex.starts_with("0x") => u32::from_str_radix(&hex[2..], 16).ok(),
        octal if octal.len() > 1 && octal.starts_with('0') => u32::from_str_radix(&octal, 8).ok(),
        decimal => decimal.parse().ok(),
    };
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let rest = 32 - 8 * first.len() as u32;
    if u64::from(*last) >= 1 << rest || first.iter().any(|part| *part > 255) {
        return None;
    }
    let head = first
        .iter()
        .enumerate()
        .map(|(n, part)| part << (24 - 8 * n as u32))
        .sum::<u32>();
    Some((head | last).into())
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn authority_parts(text: &str, authority: &str) -> Result<(String, u16), Error> {
    if authority.contains('@') {
        return refuse(text, "it contains a user name: set `SESSION_TOKEN` instead");
    }
    if authority
        .bytes()
        .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    {
        return refuse(text, "its host contains a space: remove it");
    }
    let (host, port) = split_authority(authority);
    let port = port.map_or(Some(80), |port| port.parse::<u16>().ok());
    match port {
        _ if host.is_empty() => refuse(text, "it has no host: write `http://HOST:PORT`"),
        Some(port) => Ok((host.to_owned(), port)),
        None => refuse(text, "its port is invalid: use a number up to 65535"),
    }
}

/// Turns the scheme into lower case: `HTTP://…` becomes `http://…`.
fn with_lower_scheme(text: &str) -> String {
    text.split_once("://").map_or_else(
        || text.to_owned(),
        |(scheme, rest)| format!("{}://{rest}", scheme.to_ascii_lowercase()),
    )
}

/// Returns the host without brackets, and the port if there is one.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    let colon = authority
        .rfind(':')
        .filter(|at| !authority[*at..].contains(']'));
    let (host, port) = colon.map_or((authority, None), |at| {
        (&authority[..at], Some(&authority[at + 1..]))
    });
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

fn refuse<T>(text: &str, reason: &str) -> Result<T, Error> {
    Err(Error::Config {
        name: "SESSION_SERVICE_URL",
        reason: format!("`{text}`: {reason}"),
    })
}

/// Returns whether the host is `localhost` or a loopback address.
pub(crate) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(feature = "https")]
fn proxy_is_set() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = ServiceUrl::parse("http://[::1]:9001/base/").unwrap();
        assert_eq!(
            url.target,
            Target::Http {
                host: "::1".to_owned(),
                port: 9001
            }
        );
        assert_eq!(url.prefix, "/base");
        assert_eq!(
            ServiceUrl::parse("unix:///run/s.sock").unwrap().target,
            Target::Unix("/run/s.sock".into())
        );
    }

    #[test]
    #[cfg(feature = "https")]
    fn no_proxy_names_hosts_ports_and_suffixes() {
        for (list, address, is_named) in [
            ("*", "https://a.example.org", true),
            ("", "https://a.example.org", false),
            (" , ", "https://a.example.org", false),
            ("a.example.org", "https://A.example.org", true),
            ("a.example.org:443", "https://a.example.org", true),
            ("a.example.org:8443", "https://a.example.org", false),
            ("a.example.org:9000", "http://a.example.org:9000/base", true),
            ("example.org", "https://a.example.org", true),
            (".example.org", "https://a.example.org", true),
            ("*.example.org", "https://a.example.org", true),
            ("b.org, *.EXAMPLE.org:443", "https://a.example.org", true),
            ("ample.org", "https://a.example.org", false),
            ("10.0.0.7", "http://10.0.0.7:9000", true),
        ] {
            assert_eq!(
                ServiceUrl::parse(address).unwrap().is_named_in(list),
                is_named,
                "{list} {address}"
            );
        }
    }

    #[test]
    fn an_address_has_one_identity() {
        for (text, identity) in [
            ("http://localhost:9000", "http://localhost:9000"),
            ("HTTP://LocalHost:9000/", "http://localhost:9000"),
            ("http://127.0.0.1:9000", "http://localhost:9000"),
            ("http://127.1:9000", "http://localhost:9000"),
            ("http://0x7f.0.0.1:9000", "http://localhost:9000"),
            ("http://2130706433:9000", "http://localhost:9000"),
            ("http://[::1]:9000", "http://localhost:9000"),
            ("http://[::ffff:127.0.0.1]:9000", "http://localhost:9000"),
            ("http://127.0.0.2:9000", "http://127.0.0.2:9000"),
            ("http://localhost", "http://localhost:80"),
            ("https://Example.org", "https://example.org:443"),
            ("http://a:1/Base/", "http://a:1/Base"),
            ("unix:///run/s.sock\n", "unix:///run/s.sock"),
            ("garbage", "garbage"),
            ("", ""),
        ] {
            assert_eq!(service_identity(text), identity, "{text}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_by_name() {
        for text in [
            "",
            "localhost:9000",
            "http://",
            "http://h:port",
            "unix://run/s",
            "http://u:p@h",
            "http://a b",
        ] {
            let error = ServiceUrl::parse(text).unwrap_err();
            assert!(
                error.to_string().contains("SESSION_SERVICE_URL"),
                "{text}: {error}"
            );
        }
    }
}
