//! HTTP: the application with its table of routes, the caller, the extractors, the handlers, the
//! responses and errors, and the description of the API. JSON and status codes are made here.

pub mod app;
pub mod auth;
pub mod error;
pub mod extract;
pub mod openapi;
mod respond;
pub mod routes;
