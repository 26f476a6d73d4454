//! Tests of the transition between ring and disk, and of the routes over real connections.

mod clamped;
mod double;
mod event_stream;
mod seam;
mod server;
mod socket;
