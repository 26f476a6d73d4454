//! reqwest on a small runtime of its own, for `https://` and for proxies (`HTTPS_PROXY`,
//! `HTTP_PROXY`, `NO_PROXY`).
//!
//! Created on first use, in the process that uses it, so that nothing of it has to survive a
//! `fork`.

use std::time::Duration;

use super::message::{Request, Response, Transport, TransportError};
use crate::{Config, Error, Token};

/// The client and the runtime that drives it, on the delivery thread.
pub(crate) struct Tls {
    /// `None` only while this is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    client: reqwest::Client,
    base: String,
    token: Option<Token>,
    answer_timeout: Duration,
    /// The limit of a request's time, if it has one.
    most: Option<Duration>,
    max_answer_bytes: usize,
}

impl Tls {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Config {
            name: "SESSION_SERVICE_URL",
            reason,
        };
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only if another thread was faster, and then there is a provider.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // The resolver has no timeout: one lookup may be stuck, and later lookups wait for its
        // thread.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build();
        let mut client = reqwest::Client::builder().connect_timeout(config.connect_timeout);
        if config.service.bypasses_proxies() {
            client = client.no_proxy();
        }
        Ok(Self {
            runtime: Some(runtime.map_err(|error| unusable(error.to_string()))?),
            client: client
                .pool_max_idle_per_host(1)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| unusable(causes(&error)))?,
            base: config.service.as_str().to_owned(),
            token: config.token.clone().filter(Token::fits_a_header),
            answer_timeout: config.answer_timeout,
            most: None,
            max_answer_bytes: config.max_answer_bytes,
        })
    }

    fn build(&self, request: &Request<'_>) -> reqwest::RequestBuilder {
        let method =
            reqwest::Method::from_bytes(request.method.as_bytes()).unwrap_or(reqwest::Method::GET);
        // A slow line gets the time that the body needs at 64 KiB per second.
        let upload = Duration::from_millis(request.body.len() as u64 / 64);
        let mut builder = self
            .client
            .request(method, format!("{}{}", self.base, request.path));
        let time = self.answer_timeout + upload;
        builder = builder.timeout(self.most.map_or(time, |most| most.min(time)));
        if request.method != "GET" {
            builder = builder
                .header("content-type", request.content_type)
                .body(request.body.to_vec());
        }
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token.expose());
        }
        match &request.producer {
            None => builder,
            Some(producer) => builder
                .header("producer-id", producer.id)
                .header("producer-epoch", producer.epoch)
                .header("producer-seq", producer.seq),
        }
    }
}

impl Transport for Tls {
    fn shows_token(&self) -> bool {
        self.token.is_some()
    }

    fn limit(&mut self, most: Duration) {
        self.most = Some(most);
    }

    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError> {
        let request = self.build(request);
        let runtime = self.runtime.as_ref().expect("only `drop` takes it");
        runtime.block_on(exchange(request, self.max_answer_bytes))
    }
}

impl Drop for Tls {
    /// Shuts the runtime down without waiting for a stuck lookup, as dropping the runtime would.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(
    request: reqwest::RequestBuilder,
    cap: usize,
) -> Result<Response, TransportError> {
    let mut answer = request.send().await.map_err(|error| failed(&error))?;
    let mut response = Response {
        status: answer.status().as_u16(),
        ..Response::default()
    };
    for (name, value) in answer.headers() {
        response.header(name.as_str(), value.as_bytes());
    }
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if response.body.len() + chunk.len() > cap {
            return Err(TransportError::Answer(format!(
                "it is larger than {cap} bytes"
            )));
        }
        response.body.extend_from_slice(&chunk);
    }
    Ok(response)
}

fn failed(error: &reqwest::Error) -> TransportError {
    if error.is_connect() {
        return TransportError::Connect(causes(error));
    }
    TransportError::Exchange(causes(error))
}

/// Returns the error with all its causes, which reqwest's own message leaves out.
fn causes(error: &dyn std::error::Error) -> String {
    let next = error.source().map(|source| format!(": {}", causes(source)));
    format!("{error}{}", next.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    /// Far longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_lookup_that_is_stuck_delays_neither_a_request_nor_the_end() {
        let mut config = Config::new("https://recorder.invalid:9000").unwrap();
        config.connect_timeout = Duration::from_millis(50);
        let mut tls = Tls::new(&config).unwrap();
        let (began, has_begun) = channel();
        let (release, released) = channel::<()>();
        // reqwest resolves names on the same threads.
        let stuck = move || began.send(()).map(|()| released.recv_timeout(LONG));
        drop(tls.runtime.as_ref().unwrap().spawn_blocking(stuck));
        has_begun.recv_timeout(LONG).unwrap();
        let clock = Instant::now();
        for _ in 0..3 {
            let request = Request {
                method: "GET",
                path: "/health".to_owned(),
                ..Request::default()
            };
            let failed = tls.send(&request).unwrap_err().to_string();
            assert!(
                failed.contains("recorder.invalid") && failed.ends_with("timed out"),
                "{failed}"
            );
        }
        drop(tls);
        assert!(clock.elapsed() < LONG / 2, "{:?}", clock.elapsed());
        drop(release);
    }
}
