//! A bundle in a file: packed, synced, and proved by reading it back.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use session_model::Timestamp;

use super::{BundleError, BundleWriter, Manifest, prove};

/// How hard a bundle is packed.
pub const LEVEL: i32 = 3;

/// What packs into a file.
pub type Packed = zstd::stream::write::Encoder<'static, File>;

/// Begins to pack into a new file.
pub fn begin(path: &Path) -> io::Result<Packed> {
    let mut packed = Packed::new(File::create(path)?, LEVEL)?;
    packed.include_checksum(true)?;
    Ok(packed)
}

/// Writes a bundle to a file; `fill` adds its members and finishes it.
pub fn write<E: From<io::Error> + From<BundleError>>(
    path: &Path,
    at: Timestamp,
    fill: impl FnOnce(BundleWriter<&mut Packed>) -> Result<(), E>,
) -> Result<Manifest, E> {
    let mut packed = begin(path)?;
    fill(BundleWriter::new(&mut packed, at))?;
    packed.finish()?.sync_all()?;
    Ok(prove(BufReader::new(File::open(path)?))?)
}
