"""`python -m mail_server`: runs the two servers until it gets a signal, and posts the messages of `POST_DIR` once.

`MAIL_DIR` is the folder of all its files; it listens on `MAIL_HOST` at `SMTP_PORT` and `IMAP_PORT`; `MAIL_USER` is the
user it runs as if it is started by root. It prints a line when both servers answer and all posted messages are in the
mailbox.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

from .server import MailServer, Place


def main() -> None:
    stop = threading.Event()

    def told(number: int, frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    host = os.environ.get("MAIL_HOST", "127.0.0.1")
    ports = [int(os.environ.get(name, default)) for name, default in (("SMTP_PORT", "2525"), ("IMAP_PORT", "1143"))]
    place = Place(Path(os.environ.get("MAIL_DIR", "mail")).resolve(), host, *ports)
    with MailServer(place, os.environ.get("MAIL_USER", "nobody")) as server:
        posted = server.post(Path(os.environ["POST_DIR"])) if os.environ.get("POST_DIR") else 0
        print(f"smtp on port {ports[0]}, imap on port {ports[1]}, {posted} messages posted", flush=True)
        while not stop.wait(1):
            server.check()


main()
