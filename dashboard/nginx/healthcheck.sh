#!/usr/bin/env bash
# Whether the dashboard's page is answered; whether the service behind it is well is the service's own check.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/3000
printf 'GET / HTTP/1.0\r\n\r\n' >&3
read -r status <&3
[[ $status == *' 200 '* ]]
