//! The agent against a service that misbehaves in every way that is known of.

mod bounds;
mod command;
mod crash;
mod delivery;
mod faults;
mod fork;
mod real_service;
mod scenarios;
mod service;
mod setup;
mod sharing;
