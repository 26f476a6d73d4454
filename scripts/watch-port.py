"""Listens on a port of this machine's loopback addresses and logs every connection.

    python3 scripts/watch-port.py PORT FILE

FILE is created once the script listens. Each connection appends the line `connection from PORT`, and a second line with
the first line of the request, if any. The connection is closed without an answer. Exit code 75: the port is in use.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import sys
import threading


class Visitor(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        client = self.client_address[1]
        self.server.write(f"connection from {client}")
        try:
            line = self.rfile.readline(300)
        except OSError:  # the client sends nothing, or has disconnected
            return
        if line:
            self.server.write(f"{client}: {line.decode(errors='replace').strip()}")


class Watch(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: str, port: int, file: str) -> None:
        self.address_family, self.file = family, file
        super().__init__((address, port), Visitor)

    def write(self, line: str) -> None:
        with open(self.file, "a", encoding="utf-8") as log:
            log.write(line + "\n")


def main(port: int, file: str) -> int:
    addresses = [(socket.AF_INET, "127.0.0.1")]
    if socket.has_ipv6:
        addresses.append((socket.AF_INET6, "::1"))
    watches = []
    for family, address in addresses:
        try:
            watches.append(Watch(family, address, port, file))
        except OSError as error:
            # On a machine without IPv6 no client can connect to ::1, so this failure is ignored.
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                print(f"watch-port: {address} port {port}: {error.strerror}", file=sys.stderr)
                return 75
    open(file, "a", encoding="utf-8").close()
    for watch in watches[1:]:
        threading.Thread(target=watch.serve_forever, daemon=True).start()
    watches[0].serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
