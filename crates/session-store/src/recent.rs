//! `recent/`: relative links to the newest sessions; `01-<id>` is the newest. Derived data.
//!
//! The links are checked whenever the newest sessions change, when another program has changed the
//! folder, and periodically. A failed update is tried again at the next tick. Only names of this
//! form belong to the service: a link with such a name that is not wanted is removed. Everything
//! else in the folder stays, and blocks a link if it has the link's name.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use session_model::SessionId;

use super::layout::Layout;

/// How often links that should be correct are checked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The known state of the links.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The state when the links were last correct.
    right: Option<CheckedLinks>,
    /// The problem that was logged last.
    reported: Option<String>,
}

#[derive(Debug)]
struct CheckedLinks {
    newest: Vec<SessionId>,
    changed: (i64, i64),
    looked: Instant,
}

impl Links {
    pub(super) fn update(&mut self, layout: &Layout, newest: Vec<SessionId>) {
        let is_right = |right: &CheckedLinks| {
            right.newest == newest
                && right.looked.elapsed() < LOOK_EVERY
                && changed(&layout.recent()).is_some_and(|at| at == right.changed)
        };
        if self.right.as_ref().is_some_and(is_right) {
            return;
        }
        let updated = update(layout, &newest);
        let problem = match &updated {
            Ok(in_the_way) if in_the_way.is_empty() => None,
            Ok(in_the_way) => {
                let names: Vec<String> = in_the_way
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                Some(format!(
                    "not a link, but has the name of one (move it away): {}",
                    names.join(", ")
                ))
            }
            Err(error) => Some(format!("{error}; it is tried again")),
        };
        // Ticks come ten times a second: each problem is logged only once.
        if problem != self.reported {
            if let Some(problem) = &problem {
                tracing::warn!(problem, "`recent/` is not as it should be");
            } else {
                tracing::info!("`recent/` is as it should be again");
            }
            self.reported = problem;
        }
        let changed = updated.ok().and_then(|_| changed(&layout.recent()));
        self.right = changed.map(|changed| CheckedLinks {
            newest,
            changed,
            looked: Instant::now(),
        });
    }
}

/// Returns when the entries of a folder last changed.
fn changed(folder: &Path) -> Option<(i64, i64)> {
    fs::symlink_metadata(folder)
        .ok()
        .map(|found| (found.mtime(), found.mtime_nsec()))
}

/// Makes `recent/` link to these sessions, newest first; returns the paths that other files block.
pub(crate) fn update(layout: &Layout, newest: &[SessionId]) -> io::Result<Vec<PathBuf>> {
    let width = newest.len().to_string().len().max(2);
    let wanted: BTreeSet<(String, String)> = newest
        .iter()
        .enumerate()
        .map(|(n, id)| {
            (
                format!("{:0width$}-{id}", n + 1),
                format!("../sessions/{id}"),
            )
        })
        .collect();
    sync_links(&layout.recent(), &wanted, is_numbered)
}

/// Returns whether a name has the form `<number>-<id>`.
fn is_numbered(name: &str) -> bool {
    name.split_once('-').is_some_and(|(n, id)| {
        !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && SessionId::parse(id).is_ok()
    })
}

/// Makes `subsessions/` of a session link to these children.
pub(crate) fn update_children(session: &Path, children: &[String]) -> io::Result<()> {
    let folder = session.join("subsessions");
    if children.is_empty() && !folder.exists() {
        return Ok(());
    }
    let wanted = children
        .iter()
        .map(|child| SessionId::adopt(child))
        .map(|child| (child.to_string(), format!("../../{child}")))
        .collect();
    let in_the_way = sync_links(&folder, &wanted, |name| SessionId::parse(name).is_ok())?;
    if !in_the_way.is_empty() {
        tracing::debug!(
            ?in_the_way,
            "no links to these children: something else has their names"
        );
    }
    Ok(())
}

/// Makes the service's links in a folder exactly `wanted` (name, target); `is_ours` tells which
/// names belong to the service. Returns the paths of wanted links that other files block. A link
/// that fails does not prevent the others.
fn sync_links(
    folder: &Path,
    wanted: &BTreeSet<(String, String)>,
    is_ours: impl Fn(&str) -> bool,
) -> io::Result<Vec<PathBuf>> {
    make_folder(folder)?;
    let mut standing = BTreeSet::new();
    let mut failed = Ok(());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_symlink() {
            continue;
        }
        let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
        if !is_ours(&name) && !is_of_a_renamed_session(&entry.path(), &target) {
            continue;
        }
        if wanted.contains(&(name.clone(), target.clone())) {
            standing.insert((name, target));
        } else {
            failed = failed.and(fs::remove_file(entry.path()));
        }
    }
    let mut in_the_way = Vec::new();
    for (name, target) in wanted.difference(&standing) {
        let path = folder.join(name);
        match symlink(target, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => in_the_way.push(path),
            linked => failed = failed.and(linked),
        }
    }
    failed.map(|()| in_the_way)
}

/// Returns whether a link pointed to a session that the legacy service kept under a name that is
/// not a valid session id.
fn is_of_a_renamed_session(link: &Path, target: &str) -> bool {
    let named = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let Some(name) = named(link) else {
        return false;
    };
    let Some(session) = named(Path::new(target)) else {
        return false;
    };
    let is_numbered = || {
        name.strip_suffix(&session)
            .is_some_and(|number| number.ends_with('-'))
    };
    (name == session || is_numbered())
        && SessionId::parse(&session).is_err()
        && fs::metadata(link).is_err()
}

/// Creates a folder if it does not exist. A link in its place is an error and is not followed: its
/// target does not belong to the service.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            let what = format!("`{}` is no folder: move it away", folder.display());
            Err(io::Error::new(io::ErrorKind::NotADirectory, what))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_numbered_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir_all(layout.recent()).unwrap();
        symlink("/absolute/sessions/old", layout.recent().join("01-old")).unwrap();
        let ids: Vec<SessionId> = ["b", "a"]
            .iter()
            .map(|id| SessionId::parse(id).unwrap())
            .collect();
        update(&layout, &ids).unwrap();
        update(&layout, &ids[1..]).unwrap();
        let names: Vec<_> = fs::read_dir(layout.recent())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["01-a"]);
        assert_eq!(
            fs::read_link(layout.recent().join("01-a")).unwrap(),
            Path::new("../sessions/a")
        );
    }

    fn links(layout: &Layout) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(layout.recent())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn ids(of: &[&str]) -> Vec<SessionId> {
        of.iter().map(|id| SessionId::parse(id).unwrap()).collect()
    }

    #[test]
    fn a_link_that_failed_is_made_by_the_next_update_though_the_sessions_are_those_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut known = Links::default();
        known.update(&layout, ids(&["a"]));
        fs::rename(layout.recent(), dir.path().join("aside")).unwrap();
        fs::write(layout.recent(), "in the place of the folder").unwrap();
        known.update(&layout, ids(&["b", "a"]));
        known.update(&layout, ids(&["a"]));
        assert!(
            known.right.is_none(),
            "nothing is right while there is no folder"
        );
        fs::remove_file(layout.recent()).unwrap();
        known.update(&layout, ids(&["a"]));
        assert_eq!(links(&layout), ["01-a"]);
    }

    #[test]
    fn what_is_in_the_way_of_one_link_stays_and_hinders_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir_all(layout.recent().join("01-c")).unwrap();
        fs::write(layout.recent().join("notes"), "mine").unwrap();
        symlink("elsewhere", layout.recent().join("favourite")).unwrap();
        let in_the_way = update(&layout, &ids(&["c", "b", "a"])).unwrap();
        assert_eq!(in_the_way, [layout.recent().join("01-c")]);
        assert_eq!(
            links(&layout),
            ["01-c", "02-b", "03-a", "favourite", "notes"]
        );
        fs::remove_dir(layout.recent().join("01-c")).unwrap();
        assert!(update(&layout, &ids(&["c", "b", "a"])).unwrap().is_empty());
        assert!(layout.recent().join("01-c").is_symlink());
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("storage"));
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir_all(layout.root()).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        symlink("../sessions/z", elsewhere.join("01-z")).unwrap();
        symlink(&elsewhere, layout.recent()).unwrap();
        assert!(
            update(&layout, &ids(&["a"]))
                .unwrap_err()
                .to_string()
                .contains("recent")
        );
        assert!(
            elsewhere.join("01-z").is_symlink(),
            "what is there is not ours"
        );
    }
}
