//! Blobs in bundles, and blobs that come in from other directories.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use session_model::BlobName;

use super::folder::{BlobFolder, FoundFile};
use super::sidecar::Sidecar;
use crate::bundle::BundleWriter;
use crate::files;
use crate::layout::{BLOBS, BlobFile, blob_folder, blob_sidecar};

/// Adds the blobs of a session's folder to a bundle, below `place`; files that were added before are
/// left out. The sidecar of a blob comes first, so a blob that is collected meanwhile leaves at most
/// a sidecar, which is no blob. Of a blob that is just being stored, a sidecar may be added whose
/// bytes get their name later: they are added the next time.
pub fn add_to_bundle<W: Write>(
    folder: &BlobFolder,
    place: &str,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let mut names = Vec::new();
    folder.walk(&mut |found| {
        match found.file {
            Some(BlobFile::Sidecar(name)) => names.push(name),
            Some(BlobFile::Bytes(_) | BlobFile::Damaged(_)) => {}
            None => tracing::warn!(
                place,
                file = found.place,
                "is no file of a blob: it is left out of the bundle"
            ),
        }
        Ok(())
    })?;
    for name in names {
        let below = format!("{place}/{BLOBS}/{}", blob_folder(&name));
        let sidecar = format!("{below}/{}", blob_sidecar(&name));
        add_file(&folder.sidecar(&name), sidecar, bundle)?;
        add_file(&folder.bytes(&name), format!("{below}/{name}"), bundle)?;
    }
    Ok(())
}

/// Adds a file; one that was removed meanwhile, or was added before, is left out.
fn add_file<W: Write>(path: &Path, place: String, bundle: &mut BundleWriter<W>) -> io::Result<()> {
    if bundle.has(&place) {
        return Ok(());
    }
    let file = match files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let length = file.metadata()?.len();
    bundle.file(place, length, file)
}

/// Calls `each` with every file of a session's blobs that belongs to a blob, and `foreign` with every
/// other file.
pub fn sort_files(
    folder: &BlobFolder,
    each: &mut dyn FnMut(&FoundFile<'_>) -> io::Result<()>,
    foreign: &mut dyn FnMut(&FoundFile<'_>) -> io::Result<()>,
) -> io::Result<()> {
    folder.walk(&mut |found| match found.file {
        Some(BlobFile::Bytes(_) | BlobFile::Sidecar(_)) => each(found),
        Some(BlobFile::Damaged(_)) | None => foreign(found),
    })
}

/// Moves the blobs that a session lacks from another folder of the same session. The caller syncs.
pub fn move_missing(from: &BlobFolder, into: &BlobFolder) -> io::Result<()> {
    let mut names = Vec::new();
    from.walk(&mut |found| {
        if let Some(BlobFile::Sidecar(name)) = found.file {
            names.push(name);
        }
        Ok(())
    })?;
    let is_kept = |name: &BlobName| {
        let known = Sidecar::read(&into.sidecar(name));
        known.is_ok_and(|sidecar| {
            sidecar.is_some_and(|sidecar| sidecar.stored_as.is_some() || into.bytes(name).is_file())
        })
    };
    for name in names.iter().filter(|name| !is_kept(name)) {
        fs::create_dir_all(into.folder(name))?;
        fs::rename(from.sidecar(name), into.sidecar(name))?;
        match fs::rename(from.bytes(name), into.bytes(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use session_model::Timestamp;

    use super::*;

    #[test]
    fn bytes_that_get_their_name_behind_their_sidecar_are_added_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = BlobFolder::of(dir.path());
        let name = BlobName::of_digest([7; 32]);
        fs::create_dir_all(folder.folder(&name)).unwrap();
        let mut bundle = BundleWriter::new(io::sink(), Timestamp::from_millis(0));
        let place = format!("sessions/s/{BLOBS}/{}/{name}", blob_folder(&name));

        fs::write(folder.sidecar(&name), "{}").unwrap();
        add_to_bundle(&folder, "sessions/s", &mut bundle).unwrap();
        assert!(bundle.has(&format!("{place}.json")));
        assert!(!bundle.has(&place));
        fs::write(folder.bytes(&name), "bytes").unwrap();
        for _ in 0..2 {
            add_to_bundle(&folder, "sessions/s", &mut bundle).unwrap();
            assert!(bundle.has(&place));
        }
    }
}
