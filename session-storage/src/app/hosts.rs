//! Which names the service answers to, and which pages may change something.
//!
//! A page of somebody else's, open in a browser on this machine, can make the browser send requests here. Two things
//! tell them: the `Host` of a page whose own name was made to resolve to this address (DNS rebinding) is that
//! name; and browsers say with `Origin` whose page it is that writes or opens a WebSocket. An address in digits is
//! nobody's name and needs no list.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, header};
use session_model::{Code, Refusal};

use crate::config::Config;

/// The names and origins.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    any_host: bool,
    names: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    pub(super) fn new(config: &Config) -> Self {
        let mut names = config.allowed_hosts.clone();
        names.push(config.host.clone());
        let any_host = names.iter().any(|name| name == "*");
        Self { any_host, names, origins: config.cors_allowed_origins.clone() }
    }

    /// Refuses a request that was meant for another name, or comes from a page that may not do this.
    pub(super) fn check(&self, request: &ServiceRequest) -> Result<(), Refusal> {
        let host = host(request);
        // Browsers come over TCP and always name the host.
        if request.peer_addr().is_some() && host.is_some_and(|host| !self.is_ours(host)) {
            let sentence = "the `Host` is no name of this service; `ALLOWED_HOSTS` names further ones";
            return Err(Refusal::new(Code::HostNotAllowed, sentence));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            && !request.headers().contains_key(header::UPGRADE);
        // The path as the router reads it: `/%77s` is `/ws` too.
        if reads && request.match_info().as_str() != "/ws" {
            return Ok(());
        }
        if origin.to_str().is_ok_and(|origin| self.may_write(origin, host)) {
            return Ok(());
        }
        let sentence = "pages of this origin may not do this; `CORS_ALLOWED_ORIGINS` names those that may";
        Err(Refusal::new(Code::OriginNotAllowed, sentence))
    }

    fn is_ours(&self, host: &str) -> bool {
        if self.any_host {
            return true;
        }
        let name = without_port(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || is_local(name)
            || self
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    }

    /// Pages of the service's own, and those that are named.
    fn may_write(&self, origin: &str, host: Option<&str>) -> bool {
        let own = origin
            .split_once("://")
            .is_some_and(|(_, from)| host.is_some_and(|host| from.eq_ignore_ascii_case(host)));
        own || self.origins.iter().any(|known| known == "*" || known == origin)
    }
}

/// As the header says it, or as HTTP/2 does.
fn host(request: &ServiceRequest) -> Option<&str> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// `localhost`, and every name below it, always is this machine (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    let end = name.len().checked_sub(9).map(|at| name.split_at(at));
    end.is_some_and(|(before, end)| {
        end.eq_ignore_ascii_case(b"localhost") && (before.is_empty() || before.ends_with(b"."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use actix_web::test::TestRequest;

    fn hosts(allowed: &[&str]) -> Hosts {
        let mut config = Layers::default().load().unwrap().config;
        config.allowed_hosts = allowed.iter().map(ToString::to_string).collect();
        Hosts::new(&config)
    }

    fn judged(hosts: &Hosts, method: &str, path: &str, host: &str, origin: &str) -> Option<Code> {
        let mut request = TestRequest::with_uri(path).method(method.parse().unwrap());
        request = request.peer_addr("127.0.0.1:1".parse().unwrap()).insert_header(("host", host));
        if !origin.is_empty() {
            request = request.insert_header(("origin", origin));
        }
        hosts.check(&request.to_srv_request()).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused_and_an_address_never() {
        let own = hosts(&["recorder.lan", "[fe80::1]"]);
        for good in [
            "localhost:9000",
            "LOCALHOST",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1:9000",
            "[::1]:9000",
            "[::1]",
            "10.0.0.7",
            "recorder.lan",
            "Recorder.LAN:80",
        ] {
            assert_eq!(judged(&own, "GET", "/api/sessions", good, ""), None, "{good}");
        }
        for bad in [
            "evil.test",
            "evil.test:9000",
            "notlocalhost",
            "localhost.evil.test",
            "recorder.lan.evil",
            "1.2.3",
            "",
        ] {
            assert_eq!(judged(&own, "GET", "/health", bad, ""), Some(Code::HostNotAllowed), "{bad}");
            assert_eq!(judged(&hosts(&["*"]), "GET", "/health", bad, ""), None, "{bad}");
        }
    }

    #[test]
    fn a_foreign_page_may_neither_write_nor_listen() {
        let own = hosts(&[]);
        let (here, refused) = ("localhost:9000", Some(Code::OriginNotAllowed));
        for (method, path, origin, found) in [
            ("POST", "/api/sessions", "http://evil.test", refused),
            ("PATCH", "/api/state/a", "null", refused),
            ("DELETE", "/api/sessions/a", "http://localhost:9001", refused),
            ("GET", "/ws", "http://evil.test", refused),
            ("GET", "/%77s", "http://evil.test", refused),
            ("GET", "/%77%73", "http://evil.test", refused),
            ("GET", "/ws", "http://localhost:9000.evil.test", refused),
            ("GET", "/ws", "http://localhost:9000", None),
            ("GET", "/ws", "http://localhost:3000", None),
            ("POST", "/api/sessions", "https://LOCALHOST:9000", None),
            ("GET", "/api/sessions", "http://evil.test", None),
            ("OPTIONS", "/api/sessions", "http://evil.test", None),
        ] {
            assert_eq!(judged(&own, method, path, here, origin), found, "{method} {path} {origin}");
        }
    }
}
