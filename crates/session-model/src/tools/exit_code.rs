//! The exit code that an error names.

/// The exit code of a failed command of Claude Code, which begins its error: `Exit code 3`.
///
/// Only this frame counts. The same words in the output of a command say nothing.
pub fn exit_code(error: &str) -> Option<i64> {
    let line = error.strip_prefix("Exit code ")?.lines().next()?;
    line.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_frame_of_an_error_is_an_exit_code() {
        for (error, code) in [
            ("Exit code 3", Some(3)),
            ("Exit code 127\nsh: x: not found", Some(127)),
            ("the command said: Exit code 3", None),
            ("Exit code none", None),
        ] {
            assert_eq!(exit_code(error), code, "{error}");
        }
    }
}
