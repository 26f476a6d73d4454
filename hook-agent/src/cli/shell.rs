//! The shells for which there are completions.

use super::exit::Failure;

/// A shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub(super) const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// Parses the argument of `completions`.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, Failure> {
        let known = |shell: &Self| Some(shell.name()) == name;
        Self::ALL.into_iter().find(known).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Failure::usage(format!("`completions` needs one shell after it: {names}"))
        })
    }
}
