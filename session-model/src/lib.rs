//! The pure types of the flight recorder.
