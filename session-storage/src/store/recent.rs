//! `recent/`: relative links to the newest sessions, `01-<id>` the newest. Derived.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use session_model::SessionId;

use super::layout::Layout;

/// Makes the links those of these sessions, newest first.
pub fn update(layout: &Layout, newest: &[SessionId]) -> io::Result<()> {
    let width = newest.len().to_string().len().max(2);
    let wanted: BTreeSet<(String, String)> = newest
        .iter()
        .enumerate()
        .map(|(n, id)| (format!("{:0width$}-{id}", n + 1), format!("../sessions/{id}")))
        .collect();
    sync_links(&layout.recent(), &wanted)
}

/// Makes `subsessions/` of a session link to these children.
pub fn update_children(session: &Path, children: &[String]) -> io::Result<()> {
    let folder = session.join("subsessions");
    if children.is_empty() && !folder.exists() {
        return Ok(());
    }
    let wanted = children
        .iter()
        .filter(|child| SessionId::parse(child).is_ok())
        .map(|child| (child.clone(), format!("../../{child}")))
        .collect();
    sync_links(&folder, &wanted)
}

/// Makes a folder hold just these links (name, target); files of other kinds are left alone.
fn sync_links(folder: &Path, wanted: &BTreeSet<(String, String)>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut standing = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_symlink() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
        if wanted.contains(&(name.clone(), target.clone())) {
            standing.insert((name, target));
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    for (name, target) in wanted.difference(&standing) {
        symlink(target, folder.join(name))?;
    }
    Ok(())
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
        let ids: Vec<SessionId> = ["b", "a"].iter().map(|id| SessionId::parse(id).unwrap()).collect();
        update(&layout, &ids).unwrap();
        update(&layout, &ids[1..]).unwrap();
        let names: Vec<_> = fs::read_dir(layout.recent()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["01-a"]);
        assert_eq!(fs::read_link(layout.recent().join("01-a")).unwrap(), Path::new("../sessions/a"));
    }
}
