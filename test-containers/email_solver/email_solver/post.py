"""Access to the office's e-mail: reads and marks its mailbox by IMAP, sends by SMTP."""

from __future__ import annotations

import imaplib
import os
import smtplib
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Iterator, List, Optional

TIMEOUT = 20.0


class Deferred(Exception):
    """The server asks to come again later (a 4xx answer)."""


@dataclass(frozen=True)
class Account:
    """Where the post is, and whose it is."""

    imap_host: str
    imap_port: int
    smtp_host: str
    smtp_port: int
    address: str = "office@achensee.test"
    sent: str = "sent@achensee.test"
    password: str = "glider"

    @classmethod
    def from_env(cls) -> Account:
        env = os.environ.get
        host = env("MAIL_HOST", "127.0.0.1")
        return cls(host, int(env("IMAP_PORT", "1143")), host, int(env("SMTP_PORT", "2525")))


class Post:
    """One account. Each operation has a connection of its own: nothing is left open by a kill."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @contextmanager
    def _mailbox(self, user: str, readonly: bool = False) -> Iterator[imaplib.IMAP4]:
        account = self.account
        with imaplib.IMAP4(account.imap_host, account.imap_port, timeout=TIMEOUT) as imap:
            imap.login(user, account.password)
            _ok(imap.select("INBOX", readonly=readonly))
            yield imap

    def messages(self) -> List[str]:
        """The UIDs of all messages in the inbox."""
        with self._mailbox(self.account.address, readonly=True) as imap:
            return [uid.decode() for uid in _ok(imap.uid("SEARCH", "ALL"))[0].split()]

    def fetch(self, uid: str) -> Optional[bytes]:
        """A message, byte by byte; none if it is not in the inbox any more."""
        with self._mailbox(self.account.address, readonly=True) as imap:
            parts = _ok(imap.uid("FETCH", uid, "(BODY.PEEK[])"))
            return next((part[1] for part in parts if isinstance(part, tuple)), None)

    def mark(self, uid: str, flag: str) -> None:
        """Sets a flag, `\\Answered` or `\\Seen`."""
        with self._mailbox(self.account.address) as imap:
            _ok(imap.uid("STORE", uid, "+FLAGS.SILENT", f"({flag})"))

    def set_aside(self, uid: str, folder: str) -> None:
        """Moves a message to a folder, which is made if need be; one that is gone is left alone."""
        with self._mailbox(self.account.address) as imap:
            if not any(_ok(imap.list('""', folder))):
                _ok(imap.create(folder))
            _ok(imap.uid("MOVE", uid, folder))

    def was_sent(self, message_id: str) -> bool:
        """Whether the copy of an answer is in the box for sent mail."""
        with self._mailbox(self.account.sent, readonly=True) as imap:
            return bool(_ok(imap.uid("SEARCH", "HEADER", "Message-ID", f'"{message_id}"'))[0].split())

    def submit(self, message: EmailMessage) -> None:
        """Sends to the recipient and to the box for sent mail: both or neither, as one transaction."""
        account = self.account
        with smtplib.SMTP(account.smtp_host, account.smtp_port, timeout=TIMEOUT) as smtp:
            smtp.ehlo_or_helo_if_needed()
            _accepted(smtp.mail(account.address, ["BODY=8BITMIME"]))
            for recipient in (str(message["To"].addresses[0].addr_spec), account.sent):
                _accepted(smtp.rcpt(recipient))
            _accepted(smtp.data(message.as_bytes()))


def _ok(answer: tuple[str, list[bytes]]) -> list[bytes]:
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"the server answered {status}: {data!r}")
    return data


def _accepted(answer: tuple[int, bytes]) -> None:
    code, words = answer
    if 400 <= code < 500:
        raise Deferred(f"{code} {words.decode('utf-8', 'replace')}")
    if code >= 500:
        raise smtplib.SMTPResponseException(code, words)
