//! Decides when watched files are read again: whenever they differ from the version in force.
//!
//! A reload that failed is repeated at each check, because the failure may pass while the files
//! stay the same: a revoked key must not stay in force after one failed read.

/// The versions of some files: the one in force, and the one that could not be read.
#[derive(Debug)]
pub(crate) struct Reloads<V> {
    in_force: Option<V>,
    failed: Option<V>,
}

impl<V: PartialEq + Copy> Reloads<V> {
    /// Starts with the version in force; `None` if it is not known.
    pub(crate) fn new(in_force: Option<V>) -> Self {
        Self {
            in_force,
            failed: None,
        }
    }

    /// Returns whether this version has to be read.
    pub(crate) fn is_due(&self, found: V) -> bool {
        self.in_force != Some(found)
    }

    /// Notes that this version is in force.
    pub(crate) fn succeeded(&mut self, found: V) {
        *self = Self::new(Some(found));
    }

    /// Notes that this version could not be read. Returns whether that is the first time, so that
    /// it is logged once.
    pub(crate) fn failed(&mut self, found: V) -> bool {
        self.failed.replace(found) != Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_could_not_be_read_is_tried_again_and_logged_once() {
        let mut reloads = Reloads::new(Some(1));
        assert!(!reloads.is_due(1));
        assert!(reloads.is_due(2));
        assert!(reloads.failed(2));
        assert!(reloads.is_due(2), "the failure may have passed");
        assert!(!reloads.failed(2));
        reloads.succeeded(2);
        assert!(!reloads.is_due(2));
        assert!(reloads.failed(3));
        assert!(reloads.failed(4), "another version");
    }
}
