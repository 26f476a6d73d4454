//! reqwest on a small runtime of its own, for `https://` and for proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
//!
//! Made on first use and in the process that uses it, so that nothing of it has to survive a `fork`.

use std::time::Duration;

use super::{Request, Response, Transport, TransportError};
use crate::{Config, Error};

/// The client and the runtime that drives it, on the delivery's own thread.
pub(crate) struct Tls {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    base: String,
    token: Option<String>,
    answer_timeout: Duration,
    max_answer_bytes: usize,
}

impl Tls {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Config { name: "SESSION_SERVICE_URL", reason };
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Only fails when another thread was quicker, and then there is one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = reqwest::Client::builder().connect_timeout(config.connect_timeout);
        Ok(Self {
            runtime: runtime.map_err(|error| unusable(error.to_string()))?,
            client: client
                .pool_max_idle_per_host(1)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| unusable(causes(&error)))?,
            base: config.service.as_str().to_owned(),
            token: config.token.clone(),
            answer_timeout: config.answer_timeout,
            max_answer_bytes: config.max_answer_bytes,
        })
    }

    fn build(&self, request: &Request<'_>) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap_or(reqwest::Method::GET);
        // A slow line gets the time that the body needs at 64 KiB a second.
        let upload = Duration::from_millis(request.body.len() as u64 / 64);
        let mut builder = self.client.request(method, format!("{}{}", self.base, request.path));
        builder = builder.timeout(self.answer_timeout + upload);
        if request.method != "GET" {
            builder = builder.header("content-type", request.content_type).body(request.body.to_vec());
        }
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
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
    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError> {
        let request = self.build(request);
        self.runtime.block_on(exchange(request, self.max_answer_bytes))
    }
}

async fn exchange(request: reqwest::RequestBuilder, cap: usize) -> Result<Response, TransportError> {
    let mut answer = request.send().await.map_err(|error| failed(&error))?;
    let mut response = Response { status: answer.status().as_u16(), ..Response::default() };
    for (name, value) in answer.headers() {
        response.header(name.as_str(), value.as_bytes());
    }
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if response.body.len() + chunk.len() > cap {
            return Err(TransportError::Answer(format!("it is larger than {cap} bytes")));
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

/// reqwest's own sentence leaves the cause out.
fn causes(error: &dyn std::error::Error) -> String {
    let next = error.source().map(|source| format!(": {}", causes(source)));
    format!("{error}{}", next.unwrap_or_default())
}
