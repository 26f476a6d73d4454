//! The seam between ring and disk, and the routes over real connections.

mod double;
mod event_stream;
mod seam;
mod server;
mod socket;
