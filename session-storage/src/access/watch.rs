//! Watches the files, so that changes made at the command line take effect within [`EVERY`].

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::authentication::Access;
use crate::reloads::Reloads;

/// How often the files are checked.
pub const EVERY: Duration = Duration::from_millis(200);
/// After how many checks the times of last use are stored.
const LOOKS: u32 = 150;

/// Identifies one version of a file, which is always replaced as a whole.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

fn stamps(access: &Access) -> [Stamp; 2] {
    [
        stamp(&access.folder().keys()),
        stamp(&access.folder().token_secret()),
    ]
}

/// Watches the files until the future is dropped; `changed` is called after each change. If a file
/// cannot be read, the previous content stays in force.
pub async fn follow(access: Arc<Access>, changed: impl Fn()) {
    // The first check includes changes made since the first reading.
    let mut reloads = Reloads::new(None);
    let mut looks = 0;
    loop {
        let found = stamps(&access);
        if reloads.is_due(found) {
            match reload(&access).await {
                Ok(()) => {
                    reloads.succeeded(found);
                    changed();
                }
                Err(error) if reloads.failed(found) => {
                    tracing::error!(
                        error,
                        "failed to read the keys; the keys read before stay valid"
                    );
                }
                Err(_) => {}
            }
        }
        tokio::time::sleep(EVERY).await;
        looks = (looks + 1) % LOOKS;
        if looks == 0 && access.is_on() {
            write_last_used(&access).await;
        }
    }
}

async fn reload(access: &Arc<Access>) -> Result<(), String> {
    let access = Arc::clone(access);
    match actix_web::web::block(move || access.reload()).await {
        Ok(reloaded) => reloaded.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Stores the times of last use; also the last step of a shutdown.
pub async fn write_last_used(access: &Arc<Access>) {
    let access = Arc::clone(access);
    if let Ok(Err(error)) = actix_web::web::block(move || access.write_last_used()).await {
        tracing::warn!(%error, "failed to write when the keys were last used");
    }
}
