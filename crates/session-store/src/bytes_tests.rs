//! Pins the bytes of every file of a storage directory but the journal's segments (see
//! `segment/tests.rs`): a later version must read and continue the directories of this one.
//!
//! Each file is written by the code and compared with bytes written out here, and the same bytes
//! are read back. A test that fails here after a change of the code says that directories on disk
//! would be read differently: only add fields, with a default for files that lack them.

mod bundle;
mod directory;
mod session;
mod session_files;
