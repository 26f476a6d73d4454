#!/bin/sh
# Starts nginx for the service at SESSION_SERVICE_URL. Its name is asked for again every few seconds, of the name server
# that the container has, because a service that was restarted may have another address.
set -eu
server=$(sed -n 's/^nameserver *\([^ ]*\).*/\1/p' /etc/resolv.conf | head -n 1)
case $server in *:*) server="[$server]" ;; esac
sed -e "s|@SESSION_SERVICE_URL@|${SESSION_SERVICE_URL%/}|" -e "s|@NAME_SERVER@|${server:-127.0.0.1}|" \
  /etc/session-dashboard/nginx.conf >/tmp/nginx.conf
exec nginx -c /tmp/nginx.conf
