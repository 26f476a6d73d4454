# shellcheck shell=bash disable=SC2154,SC2034 # sourced by test-e2e.sh
# Breaks one thing on purpose, outside of the products: a command in front of the real one, a patched library, a proxy,
# or a second service. The files are created here; processes.sh and containers.sh each put them in place.

broken=$work/sabotage
mkdir -p "$broken"/{bin,python}

case $sabotage in
  no-hook-agent)
    # Claude Code's hooks find a command of that name that does nothing.
    printf '#!/bin/sh\ncat >/dev/null\n' >"$broken/bin/hook-agent"
    chmod 755 "$broken/bin/hook-agent"
    ;;
  silent-node)
    # The graph node that sends the answers gets a success reply for each, but none is sent.
    printf 'import smtplib\nsmtplib.SMTP.data = lambda *given: (250, b"taken")\n' >"$broken/python/sitecustomize.py"
    ;;
esac
chmod -R a+rX "$broken"
sabotage_parts
