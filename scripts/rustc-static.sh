#!/bin/sh
# A wrapper of rustc, for RUSTC_WORKSPACE_WRAPPER: links the programs of this workspace statically, glibc included.
#
# RUSTFLAGS would do that too, but it would compile every dependency once more, and would make libraries that no interpreter
# can load. Cargo keeps what it builds with a wrapper apart from other builds, and only for the crates of the workspace.
case " $* " in
  *" --crate-name session_storage "*" --crate-type bin "* | *" --crate-name hook_agent "*" --crate-type bin "*)
    exec "$@" -C target-feature=+crt-static
    ;;
  *) exec "$@" ;;
esac
