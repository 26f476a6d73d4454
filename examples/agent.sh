#!/usr/bin/env bash
# An agent written as a shell script, recorded by the command hook-agent: SESSION_ID=my-run examples/agent.sh
#
# Without the service it does all of its work, and its records wait in the spool.
set -euo pipefail

# One session for all commands of the script.
export SESSION_ID=${SESSION_ID:-count-words-$$}

hook-agent create '{"source": "example", "input": "count the words"}'
hook-agent goal add '{"id": "g-1", "description": "count the words"}'
hook-agent log user-message 'Count the words of the text.'
# The program's output is passed through unchanged and is recorded on the way: as a call with its result.
words=$(echo 'the wind is calm' | hook-agent exec -- wc -w)
hook-agent log assistant-message "It has $words words." '{"messageId": "m-1"}'
hook-agent log usage m-1 claude-haiku-4-5 '{"input": 20, "output": 8}'
hook-agent log checkpoint 'the words are counted'
hook-agent goal update g-1 '{"status": "completed"}'
hook-agent finalize '{"status": "success", "outcome": "1 text counted"}'
if hook-agent flush; then echo recorded; else echo 'waits in the spool:' && hook-agent status; fi
