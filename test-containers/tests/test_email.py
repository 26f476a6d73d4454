"""Tests the e-mail application with the service and a real mail server: each message is answered once, or named."""

from __future__ import annotations

import imaplib
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Dict, List, Tuple

import pytest
from application import FULL, TOP, Application
from mail_server.server import MAILBOXES, PASSWORD, SCHOOL, MailServer
from recorded_run.compare import expected
from service import until

SENT = "sent@achensee.test"
NEVER = ("ines@customers.test", "mailer@customers.test", "jo@customers.test")
DELIVERED: Dict[str, int] = json.loads((TOP / "email_solver/mailbox/delivered.json").read_text())
ANSWERS = {name: count for name, count in DELIVERED.items() if name not in (SCHOOL, SENT)}
OUTCOMES = expected(TOP / "email_solver/mailbox/expected.json")
AT, BEFORE_NEXT = "SIDE_FILE_KILL_AT", "SIDE_FILE_KILL_BEFORE"
WINDOWS = [
    # The mail server has the answer, and nothing is recorded of it yet.
    ("step_started", "send", BEFORE_NEXT),
    ("step_ended", "send", AT),
    ("failed step_ended", "send", BEFORE_NEXT),
    ("state_updated", "outcome:mail-11", BEFORE_NEXT),
]
MORE_WINDOWS = [
    ("session_created", "", AT),
    ("goal_added", "mail-07", BEFORE_NEXT),
    ("goal_updated", "mail-01 in_progress", BEFORE_NEXT),
    ("step_started", "draft", AT),
    ("step_started", "send", AT),
    ("state_updated", "outcome:mail-02", AT),
    ("goal_updated", "mail-11 quarantined", AT),
    ("session_finalized", "", AT),
]


def box(mail: MailServer, user: str, folder: str = "INBOX") -> List[Tuple[str, EmailMessage]]:
    """A mailbox's messages with their flags."""
    with imaplib.IMAP4(mail.place.host, mail.place.imap_port) as imap:
        imap.login(user, PASSWORD)
        assert imap.select(folder, readonly=True)[0] == "OK"
        found = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")[1]
        parts = [part for part in found if isinstance(part, tuple)]
        flags = [
            b"".join(p if isinstance(p, bytes) else p[0] for p in found[at : at + 2]) for at in range(0, len(found), 2)
        ]
        messages = [message_from_bytes(part[1], policy=policy.default) for part in parts]
        return [(flag.decode(), message) for flag, message in zip(flags, messages)]  # type: ignore[misc]


def check_mail(mail: MailServer) -> None:
    """Every customer has the answers that are due, once; the inbox is marked."""
    counts = {user: mail.count(user) for user in MAILBOXES if user not in (SCHOOL, SENT)}
    until(lambda: sum(counts.values()) >= sum(ANSWERS.values()) or counts.update({u: mail.count(u) for u in counts}))
    assert counts == ANSWERS
    assert {ANSWERS[user] for user in NEVER} == {0}
    sent = [str(message["Message-ID"]) for _, message in box(mail, SENT)]
    assert len(sent) == len(set(sent)) == sum(ANSWERS.values())
    assert [message["Subject"] for _, message in box(mail, SCHOOL, "Quarantined")] != []
    flags = ["Answered" if "\\Answered" in flag else "Seen" for flag, _ in box(mail, SCHOOL)]
    assert flags == ["Answered"] * 8 + ["Seen"] * 3 + ["Answered"] * 2


Answered = Tuple[Application, MailServer]


def test_every_message_comes_to_its_end(answered: Answered) -> None:
    application, mail = answered
    application.check()
    assert application.outcomes() == OUTCOMES
    check_mail(mail)


def test_what_was_read_is_in_the_answers(answered: Answered) -> None:
    texts: Dict[str, str] = {}
    for _, message in box(answered[1], SENT):
        texts.setdefault(str(message["To"]), message.get_content())
    for user, words in {
        "anna": "13 June",
        "bjoern": "Dear Björn Lindqvist,\n\n14 June: sunny",
        "carla": "3 participants are on our list. Too heavy for a tandem, sorry: Piero Conti.",
        "dieter": "Invoice 2026-117 Total 320.00 EUR",
        "francois": "Dear François Lefèvre,\n\nwe have noted your wish for 15 June",
        "gina": "17 June: foehn storm",
        "hans": "19 June",
    }.items():
        assert words in texts[f"{user}@customers.test"].replace("\r\n", "\n")


def test_answers_belong_to_their_threads(answered: Answered) -> None:
    [(_, message)] = box(answered[1], "hans@customers.test")
    assert message["In-Reply-To"] == "<in-08@customers.test>"
    assert str(message["References"]).split()[-2:] == ["<out-77@achensee.test>", "<in-08@customers.test>"]
    assert (message["Auto-Submitted"], message["Subject"]) == ("auto-replied", "Re: Re: AW: Re: your booking AC-1002")


def test_failures_and_retries_are_recorded(answered: Answered) -> None:
    session = answered[0].service.get(f"/api/sessions/{answered[0].session}")
    ends = [action for action in session["actions"] if action["type"] == "step_ended"]
    errors = [(end["about"]["message"], end["name"], end["errorType"]) for end in ends if end["status"] == "error"]
    poisoned = [("mail-11", name, "Unreadable") for name in ("extract", "message")]
    assert errors == [*poisoned, ("mail-13", "send", "Deferred")]
    sends = [a["type"] for a in session["actions"] if a.get("name") == "send" and a["about"]["message"] == "mail-13"]
    assert sends == ["step_started", "step_ended"] * 2


@pytest.mark.parametrize("kind,begins,side", [*WINDOWS, *(MORE_WINDOWS if FULL else [])])
def test_a_run_killed_here_answers_once(
    solver: Application, mail: MailServer, answered: Answered, kind: str, begins: str, side: str
) -> None:
    number = answered[0].number_of(kind, begins) + (side == BEFORE_NEXT)
    assert solver.die(**{side: str(number)})
    assert "14 of 14" in solver.run()
    solver.check()
    assert solver.outcomes() == OUTCOMES
    check_mail(mail)


def test_a_run_killed_from_outside_answers_once(solver: Application, mail: MailServer) -> None:
    running = solver.start(MODEL_LATENCY_MS="20")
    solver.until_lines(100, running)
    solver.kill()
    assert "14 of 14" in solver.run()
    solver.check()
    check_mail(mail)


def test_nothing_is_lost_when_the_service_is_killed_and_started(solver: Application, mail: MailServer) -> None:
    running = solver.start(MODEL_LATENCY_MS="20")
    solver.until_lines(80, running)
    solver.service.kill()
    solver.until_lines(160, running)
    solver.service.start()
    assert "14 of 14 done\n" in solver.ended(running)
    solver.check()
    check_mail(mail)
