"""Starts Exim and Dovecot in a directory, waits until they answer, posts messages, stops them."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import smtplib
import subprocess
import threading
from dataclasses import asdict, dataclass
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Callable, Dict, List

DEADLINE = 30.0
PASSWORD = "glider"
SCHOOL = "office@achensee.test"
MAILBOXES = [
    SCHOOL,
    "sent@achensee.test",
    *(
        f"{name}@customers.test"
        for name in ("anna", "bjoern", "carla", "dieter", "eva", "francois", "gina", "hans", "ines", "jo")
    ),
    "mailer@customers.test",
    "karl@slow.test",
]


@dataclass(frozen=True)
class Place:
    """Where a server keeps its files and listens."""

    directory: Path
    host: str
    smtp_port: int
    imap_port: int


class MailServer:
    """Both servers, as the user that this process is, or as `user` if it is root."""

    def __init__(self, place: Place, user: str) -> None:
        self.place = place
        self._user = pwd.getpwnam(user) if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._processes: List["subprocess.Popen[bytes]"] = []

    def __enter__(self) -> MailServer:
        self._write()
        directory = self.place.directory
        self._start(_program("exim4", "exim"), "-C", str(directory / "exim.conf"), "-bdf", "-q5s")
        self._start(_program("dovecot"), "-F", "-c", str(directory / "dovecot.conf"))
        try:
            _until(self._answers, self.check)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *ended: object) -> None:
        self.stop()

    def check(self) -> None:
        """Fails if one of the servers has ended."""
        for process in self._processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}; see {self.place.directory}/log")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(DEADLINE)

    def post(self, messages: Path) -> int:
        """Sends each `.eml` file by SMTP to the school, byte by byte as it is; nothing if that was done before."""
        files = sorted(messages.glob("*.eml"))
        mark = self.place.directory / "posted"
        if mark.exists():
            return 0
        with smtplib.SMTP(self.place.host, self.place.smtp_port, timeout=DEADLINE) as smtp:
            for number, file in enumerate(files, 1):
                raw = file.read_bytes()
                sender = parseaddr(str(message_from_bytes(raw).get("From", "")))[1]
                smtp.sendmail(sender or "mailer@customers.test", [SCHOOL], raw)
                # Posted one after the other, so that the mailbox has them in the files' order.
                _until(lambda number=number: self.count(SCHOOL) >= number, self.check)
        mark.write_text(f"{len(files)}\n")
        return len(files)

    def count(self, mailbox: str) -> int:
        """How many messages a mailbox has."""
        with imaplib.IMAP4(self.place.host, self.place.imap_port, timeout=DEADLINE) as imap:
            imap.login(mailbox, PASSWORD)
            return int(imap.select("INBOX", readonly=True)[1][0] or 0)

    def _write(self) -> None:
        directory = self.place.directory
        for name in ("exim", "dovecot", "log", "mail", "home"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        settings: Dict[str, Any] = {**asdict(self.place), "user": self._user.pw_name}
        settings["group"] = grp.getgrgid(self._user.pw_gid).gr_name
        for name in ("exim.conf", "dovecot.conf"):
            (directory / name).write_text(Path(__file__).with_name(name).read_text().format(**settings))
        paths = {name: "/".join(reversed(name.split("@"))) for name in MAILBOXES}
        (directory / "users").write_text("".join(f"{name}: {path}\n" for name, path in paths.items()))
        (directory / "passwords").write_text("".join(f"{name}:{PASSWORD}\n" for name in MAILBOXES))
        if os.getuid() == 0:
            for path in (directory, *directory.rglob("*")):
                # Exim refuses a configuration that other users could have written.
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _start(self, *command: str) -> None:
        as_user: Dict[str, Any] = {}
        if os.getuid() == 0:
            as_user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        directory = self.place.directory
        with open(directory / "log" / f"{Path(command[0]).name}.out", "ab") as out:
            started = subprocess.Popen(command, cwd=directory, stdout=out, stderr=subprocess.STDOUT, **as_user)
        self._processes.append(started)

    def _answers(self) -> bool:
        try:
            with smtplib.SMTP(self.place.host, self.place.smtp_port, timeout=DEADLINE):
                return self.count(SCHOOL) >= 0
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error):
            return False


def _program(*names: str) -> str:
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
        if found:
            return found
    raise FileNotFoundError(f"{names[0]} is not installed (Debian: exim4-daemon-light, dovecot-imapd)")


def _until(condition: Callable[[], bool], check: Callable[[], None]) -> None:
    clock = threading.Event()
    for _ in range(int(DEADLINE / 0.05)):
        if condition():
            return
        check()
        clock.wait(0.05)
    raise TimeoutError("the mail server does not do what is waited for")
