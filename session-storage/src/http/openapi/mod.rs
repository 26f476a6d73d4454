//! The description of the API: OpenAPI 3.1, made from the table of routes, the table of codes and
//! the shapes here.
//!
//! `/openapi.json` serves it, `/docs` shows it to people ([`page`]) and `/llms.txt` to language
//! models ([`llms`]). `docs/openapi.json` is a committed copy, so that a change of the interface is
//! seen in review; a test compares.
//!
//! Every row of the table of routes has an operation in [`operations`], or the tests fail. What the
//! service keeps is mostly JSON of its callers' making, so the shapes require only what the service
//! itself guarantees.

mod document;
pub mod llms;
mod operation;
mod operations;
pub mod page;
mod parameters;
mod security;
mod shapes;

pub use document::{document, json};
