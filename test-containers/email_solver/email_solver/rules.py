"""The rules of the two roles: the kind of a message, and the answer to it."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List

FORECASTS = {"14 June": "sunny, 18 km/h wind", "16 June": "sunny, 14 km/h wind", "17 June": "foehn storm: we stay down"}
HEAVIEST = 110
# The first match counts.
KINDS = [
    ("complaint", r"beschwer|complain|rückgeld|refund"),
    ("invoice", r"rechnung|invoice"),
    ("participants", r"participants|teilnehmer"),
    ("weather", r"weather|wetter|forecast"),
    ("booking", r"book|tandem|reserv|réserv|buch"),
]


def classify(envelope: Dict[str, str]) -> str:
    """The kind of a message by its headers; `automatic` is never answered."""
    if envelope.get("auto-submitted", "no") != "no" or "list-id" in envelope or envelope["type"] == "multipart/report":
        return "automatic"
    subject = envelope.get("subject", "").lower()
    return next((kind for kind, pattern in KINDS if re.search(pattern, subject)), "other")


def draft(kind: str, name: str, letter: Dict[str, Any]) -> str:
    """The answer's text."""
    words = ANSWERS[kind](letter)
    return f"Dear {name},\n\n{words}\n\nYour flight school at the Achensee\n"


def _day(text: str) -> str:
    found = re.search(r"\d{1,2} June", text)
    return found.group() if found else "the day you choose"


def _weather(letter: Dict[str, Any]) -> str:
    day = _day(" ".join([letter["text"], *letter["subjects"]]))
    return f"{day}: {FORECASTS.get(day, 'it is too early for a forecast')}."


def _booking(letter: Dict[str, Any]) -> str:
    return f"we have noted your wish for {_day(letter['text'])} and will call you to confirm it."


def _participants(letter: Dict[str, Any]) -> str:
    rows: List[Dict[str, str]] = [row for attached in letter["attachments"] for row in attached.get("rows", [])]
    heavy = [row["name"] for row in rows if int(row["weight"]) > HEAVIEST]
    told = f" Too heavy for a tandem, sorry: {', '.join(heavy)}." if heavy else ""
    return f"{len(rows)} participants are on our list.{told}"


def _invoice(letter: Dict[str, Any]) -> str:
    texts = [attached["text"] for attached in letter["attachments"] if "text" in attached]
    return f"we are looking into your document ({'; '.join(texts) or 'none was attached'})."


def _complaint(letter: Dict[str, Any]) -> str:
    return "we are sorry. A colleague will call you today."


def _other(letter: Dict[str, Any]) -> str:
    return "thank you for writing. We will answer within a day."


ANSWERS: Dict[str, Callable[[Dict[str, Any]], str]] = {
    "weather": _weather,
    "booking": _booking,
    "participants": _participants,
    "invoice": _invoice,
    "complaint": _complaint,
    "other": _other,
}
