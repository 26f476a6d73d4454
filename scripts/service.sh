# shellcheck shell=bash disable=SC2034 # sourced, by scripts that use what it sets
# Functions for scripts that use a service: start one on a free port, stop it, and check a JSON response.

service='' url=''

# serve BINARY FOLDER: starts the service on FOLDER/data with the caller's environment and waits until it listens. Sets
# `service` (the process id) and `url`; the log is FOLDER/log.
serve() {
  local binary=$1 folder=$2 end=$((SECONDS + 60))
  : >"$folder/out"
  env -u SOCKET_PATH PORT=0 HOST=127.0.0.1 STORAGE_PATH="$folder/data" "$binary" >"$folder/out" 2>"$folder/log" &
  service=$!
  until url=$(sed -n 's/^listening on \(http.*\)$/\1/p' "$folder/out") && [[ $url ]]; do
    if ((SECONDS >= end)) || ! kill -0 "$service" 2>/dev/null; then
      echo "$binary does not listen; its log:" >&2
      cat "$folder/log" >&2
      return 1
    fi
    sleep 0.05
  done
}

# stop_serving: stops the service with SIGTERM; fails if it does not exit with 0.
stop_serving() {
  local ending=$service
  service=''
  kill "$ending" && wait "$ending"
}

# end_serving: for a trap; stops the service if one runs, and ignores errors.
end_serving() {
  if [[ $service ]]; then stop_serving || true; fi
}

# satisfies FILTER [JQ_OPTION...]: whether the standard input is exactly one JSON document for which the jq filter is
# true. Plain `jq -e` of version 1.6 also succeeds if there is no document at all.
satisfies() {
  local filter=$1
  shift
  jq -en "$@" "[inputs] | length == 1 and (.[0] | ($filter))" >/dev/null
}
