"""`python -m mail_server.count`: prints how many messages each mailbox has, as JSON, read by IMAP."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .server import MAILBOXES, MailServer, Place


def main() -> None:
    host = os.environ.get("MAIL_HOST", "127.0.0.1")
    place = Place(Path(), host, 0, int(os.environ.get("IMAP_PORT", "1143")))
    server = MailServer(place, "nobody")
    print(json.dumps({name: server.count(name) for name in MAILBOXES}, sort_keys=True))


main()
