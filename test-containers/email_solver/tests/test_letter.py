"""Tests what is extracted from each message of the mailbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from email_solver.graph import reply
from email_solver.letter import Letter, Unreadable, envelope, extract, parse
from email_solver.rules import classify

MESSAGES = Path(__file__).parents[1] / "mailbox"
KINDS = (
    "booking weather participants invoice complaint booking weather booking automatic automatic booking automatic "
    "weather complaint"
)


def raw(number: int) -> bytes:
    [found] = MESSAGES.glob(f"{number:02}-*.eml")
    return found.read_bytes()


def letter(number: int) -> Letter:
    return extract(parse(raw(number)))


def test_every_message_has_its_kind() -> None:
    assert [classify(envelope(parse(raw(number)))) for number in range(1, 15)] == KINDS.split()


def test_bodies_are_decoded() -> None:
    assert "tandem flight on 13 June" in letter(1).text
    assert "zu spät, niemand sagte uns, warum, und die Fotos (28 € extra)" in letter(5).text
    assert "même l'après-midi" in letter(6).text
    assert "Bitte überweist mir" in letter(14).text


def test_html_becomes_text() -> None:
    text = letter(2).text
    assert "the weather on 14 June? My daughter is nervous – thanks!" in text.replace("  ", " ")
    assert "alert" not in text and "color" not in text


def test_attachments_are_read() -> None:
    [table] = letter(3).attachments
    assert [row["name"] for row in table["rows"]] == ["Carla Conti", "Zoë Müller", "Piero Conti"]
    assert letter(4).attachments == [
        {"name": "Rechnung für Juni.pdf", "type": "application/pdf", "text": "Invoice 2026-117 Total 320.00 EUR"}
    ]


def test_a_message_within_a_message_is_read() -> None:
    forwarded = letter(7)
    assert "I heard Föhn" in forwarded.text and "my brother" in forwarded.text
    assert forwarded.subjects == ["Fwd: weather on 17 June", "weather on 17 June ☂"]


def test_what_is_quoted_is_left_out() -> None:
    assert letter(8).text.strip() == "Then please book 19 June for me instead."


def test_malformed_input_is_reported_and_not_guessed() -> None:
    with pytest.raises(Unreadable, match="StartBoundaryNotFoundDefect"):
        letter(11)
    alone = (
        b"Subject: x\nContent-Type: text/plain; charset=x-klingon-8\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n"
    )
    with pytest.raises(Unreadable, match="x-klingon-8"):
        extract(parse(alone))


def test_an_answer_has_the_same_id_each_time() -> None:
    work = {"uid": "8", "envelope": envelope(parse(raw(8))), "answer": "Yes.\n"}
    first = reply(work, "office@achensee.test")  # type: ignore[arg-type]
    assert first["Message-ID"] == reply(work, "office@achensee.test")["Message-ID"]  # type: ignore[arg-type]
    assert first["To"] == "hans@customers.test"
