//! Checks which host names the service answers to and which web pages may make changes.
//!
//! A foreign page that is open in a browser on this machine can make the browser send requests to
//! this service. Two headers reveal such a page. A page whose own host name was made to resolve to
//! this address (DNS rebinding) sends that name in `Host`. And with `Origin`, browsers name the
//! page that writes or opens a WebSocket. A numeric address belongs to no foreign page and needs no
//! list.
//!
//! A request line may name a host as well (`GET http://name/ HTTP/1.1`, `:authority` in HTTP/2),
//! and that name takes precedence over `Host`. All names in a request must be names of this
//! service.
//!
//! All pages may read, because browsers do not show the responses to pages of other origins. Some
//! reads are expensive in themselves, though, and a page can trigger one with an image or a link,
//! without any `Origin`. For those reads the browser's `Sec-Fetch-Site` is checked too or, if it is
//! missing, its `Referer` ([`Hosts::check_heavy`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::uri::Authority;
use parking_lot::Mutex;
use session_model::{Code, Refusal};

use crate::config::Config;
use crate::config::kinds::LOOPBACK;
use crate::http::extract::redact::Redact;

/// The allowed host names and origins.
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
        Self {
            any_host,
            names,
            origins: config.cors_allowed_origins.clone(),
        }
    }

    /// Rejects a request that was meant for another host name, or that comes from a page that may
    /// not send it.
    pub(super) fn check(&self, request: &ServiceRequest) -> Result<(), Refusal> {
        // Browsers connect over TCP and always send the host.
        if request.peer_addr().is_some() && !names(request.request()).all(|name| self.is_ours(name))
        {
            let sentence =
                "the `Host` is no name of this service; `ALLOWED_HOSTS` names further ones";
            return Err(Refusal::new(Code::HostNotAllowed, sentence));
        }
        let reads = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        ) && !request.headers().contains_key(header::UPGRADE);
        // Compare the path as the router decodes it: `/%77s` is `/ws` too.
        if reads && request.match_info().as_str() != "/ws" {
            return Ok(());
        }
        self.check_origin(request.request()).unwrap_or(Ok(()))
    }

    /// Rejects an expensive read that is triggered by a page without write permission.
    pub(super) fn check_heavy(&self, request: &HttpRequest) -> Result<(), Refusal> {
        if let Some(checked) = self.check_origin(request) {
            return checked;
        }
        let text = |name: HeaderName| {
            request
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap_or("unreadable"))
        };
        let is_allowed = match text(SEC_FETCH_SITE) {
            // `none`: the user started the request, not a page.
            Some(site) => matches!(site, "same-origin" | "none") || self.any_origin(),
            None => {
                text(header::REFERER).is_none_or(|page| self.may_write(origin_of(page), request))
            }
        };
        if is_allowed {
            Ok(())
        } else {
            Err(foreign_page())
        }
    }

    /// Returns whether the page named by `Origin` may write, or `None` if there is no `Origin`.
    fn check_origin(&self, request: &HttpRequest) -> Option<Result<(), Refusal>> {
        let origin = request.headers().get(header::ORIGIN)?;
        let may_write = origin
            .to_str()
            .is_ok_and(|origin| self.may_write(origin, request));
        Some(if may_write {
            Ok(())
        } else {
            Err(foreign_page())
        })
    }

    /// Logs the origin of a page that may not even read the response.
    pub(super) fn note_origin(&self, request: &HttpRequest) {
        let Some(origin) = request
            .headers()
            .get(header::ORIGIN)
            .and_then(|origin| origin.to_str().ok())
        else {
            return;
        };
        if !self.may_write(origin, request) {
            // The origin is text from the client and may contain a secret.
            tell(&Redact::of(request).map_or(Cow::Borrowed("-"), |redact| redact.text(origin)));
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        if self.any_host {
            return true;
        }
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || is_local(name)
            || self
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    }

    /// Allows the service's own pages and the configured origins.
    fn may_write(&self, origin: &str, request: &HttpRequest) -> bool {
        let from = origin.split_once("://").map(|(_, from)| from);
        // Of the names in the request, the one in the request line takes precedence.
        let own = from.is_some_and(|from| {
            names(request)
                .next()
                .is_some_and(|host| from.eq_ignore_ascii_case(host))
        });
        own || self.origins.iter().any(|known| allows(known, origin))
    }

    fn any_origin(&self) -> bool {
        self.origins.iter().any(|known| known == "*")
    }
}

/// Returns whether an entry of `CORS_ALLOWED_ORIGINS` allows an origin.
pub(super) fn allows(known: &str, origin: &str) -> bool {
    match known {
        "*" => true,
        LOOPBACK => is_loopback(origin),
        known => known == origin,
    }
}

/// Returns whether the origin is a page on this machine.
fn is_loopback(origin: &str) -> bool {
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let host = host.map(|host| {
        host.rsplit_once(':')
            .filter(|(_, port)| is_port(port))
            .map_or(host, |(host, _)| host)
    });
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Maximum number of remembered origins that were already logged.
const MAX_REPORTED: usize = 256;

/// Logs a rejected origin, once per origin, so that the person who opened the page finds the reason
/// in the log.
fn tell(origin: &str) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut reported = REPORTED.lock();
    if reported.len() < MAX_REPORTED && reported.insert(origin.to_owned()) {
        tracing::info!(
            origin,
            "rejected a request from a page of this origin: add it to CORS_ALLOWED_ORIGINS to allow it"
        );
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn foreign_page() -> Refusal {
    let sentence =
        "pages of this origin may not do this; `CORS_ALLOWED_ORIGINS` names those that may";
    Refusal::new(Code::OriginNotAllowed, sentence)
}

/// Returns the `scheme://host[:port]` of a URL.
fn origin_of(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..]
        .find(['/', '?', '#'])
        .map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Iterates over all host names in the request: the one in its request line, then those of its
/// `Host` headers. A name that is not text becomes the empty string, which never matches.
fn names(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let target = request.uri().authority().map(Authority::as_str);
    let headers = request
        .headers()
        .get_all(header::HOST)
        .map(|host| host.to_str().unwrap_or_default());
    target.into_iter().chain(headers)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

/// `localhost` and every name below it always mean this machine (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.as_bytes();
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
        request = request
            .peer_addr("127.0.0.1:1".parse().unwrap())
            .insert_header(("host", host));
        if !origin.is_empty() {
            request = request.insert_header(("origin", origin));
        }
        hosts
            .check(&request.to_srv_request())
            .err()
            .map(|refusal| refusal.code)
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
            assert_eq!(
                judged(&own, "GET", "/api/sessions", good, ""),
                None,
                "{good}"
            );
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
            assert_eq!(
                judged(&own, "GET", "/health", bad, ""),
                Some(Code::HostNotAllowed),
                "{bad}"
            );
            assert_eq!(
                judged(&hosts(&["*"]), "GET", "/health", bad, ""),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_foreign_page_may_neither_write_nor_listen() {
        let own = hosts(&[]);
        let here = "localhost:9000";
        let refused = Some(Code::OriginNotAllowed);
        for (method, path, origin, found) in [
            ("POST", "/api/sessions", "http://evil.test", refused),
            ("PATCH", "/api/state/a", "null", refused),
            ("DELETE", "/api/sessions/a", "http://localhost:9001", None),
            ("POST", "/api/sessions", "http://localhost", None),
            ("POST", "/api/sessions", "https://127.0.0.1:8443", None),
            ("POST", "/api/sessions", "http://[::1]:8080", None),
            (
                "POST",
                "/api/sessions",
                "http://localhost.evil.test:8080",
                refused,
            ),
            (
                "POST",
                "/api/sessions",
                "http://localhost:80@evil.test",
                refused,
            ),
            ("POST", "/api/sessions", "http://evil.test:9000", refused),
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
            assert_eq!(
                judged(&own, method, path, here, origin),
                found,
                "{method} {path} {origin}"
            );
        }
    }
    #[test]
    fn a_heavy_read_is_judged_by_whatever_the_browser_says_of_the_page() {
        let own = hosts(&[]);
        let mut open = hosts(&[]);
        open.origins = vec!["*".to_owned()];
        let refused = Some(Code::OriginNotAllowed);
        for (headers, found, found_open) in [
            (&[][..], None, None),
            (&[("sec-fetch-site", "none")], None, None),
            (&[("sec-fetch-site", "cross-site")], refused, None),
            (&[("sec-fetch-site", "\u{e9}")], refused, None),
            (
                &[
                    ("origin", "http://evil.test"),
                    ("sec-fetch-site", "same-origin"),
                ],
                refused,
                None,
            ),
            (&[("referer", "http://evil.test")], refused, None),
            (
                &[("referer", "http://localhost:3000.evil.test/")],
                refused,
                None,
            ),
            (&[("referer", "http://localhost:3000#x")], None, None),
            (
                &[("referer", "HTTP://LOCALHOST:9000/dashboard/")],
                None,
                None,
            ),
        ] {
            let mut request = TestRequest::with_uri("/api/admin/export")
                .insert_header(("host", "localhost:9000"));
            for header in headers {
                request = request.insert_header(*header);
            }
            let request = request.to_http_request();
            let judged = |hosts: &Hosts| {
                hosts
                    .check_heavy(&request)
                    .err()
                    .map(|refusal| refusal.code)
            };
            assert_eq!(judged(&own), found, "{headers:?}");
            assert_eq!(judged(&open), found_open, "{headers:?}");
        }
    }
}
