"""Extracts the content of a message from its encodings, parts and attachments; raises `Unreadable` if it can't."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import dataclass, field
from email import policy
from email.errors import MessageDefect
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from typing import Any, Dict, List

HARMLESS = ("NonASCIILocalPartDefect", "ObsoleteHeaderDefect")


class Unreadable(Exception):
    """A message is malformed: the parser found defects, or a part can't be decoded."""


@dataclass
class Letter:
    """What was extracted: the words without what they quote, and what the attachments hold."""

    text: str = ""
    subjects: List[str] = field(default_factory=list)
    attachments: List[Dict[str, Any]] = field(default_factory=list)


def parse(raw: bytes) -> EmailMessage:
    """The message; defects are kept for `extract` to find."""
    parsed = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(parsed, EmailMessage)
    return parsed


def envelope(message: EmailMessage) -> Dict[str, str]:
    """The headers that tell what kind of message it is."""
    name, address = parseaddr(str(message.get("Reply-To") or message.get("From", "")))
    own_name = parseaddr(str(message.get("From", "")))[0]
    wanted = ("Subject", "Message-ID", "References", "Auto-Submitted", "Precedence", "List-Id")
    told = {header.lower(): _clean(str(message[header])) for header in wanted if message[header]}
    return {**told, "name": _clean(own_name or name), "address": address, "type": message.get_content_type()}


def extract(message: EmailMessage) -> Letter:
    """Everything that can be said about the message."""
    letter = Letter()
    _take(message, letter)
    return letter


def _take(part: EmailMessage, letter: Letter) -> None:
    _sound(part)
    if part.get("Subject"):
        letter.subjects.append(_clean(str(part["Subject"])))
    body = part.get_body(("plain", "html"))
    if body is not None:
        _sound(body)
        letter.text += _words(body)
    for attached in part.iter_attachments() if part.is_multipart() else []:
        _attached(attached, letter)


def _attached(part: EmailMessage, letter: Letter) -> None:
    _sound(part)
    if part.get_content_type() == "message/rfc822":
        _take(part.get_content(), letter)
        return
    content, name = _content(part), part.get_filename() or part.get_content_type()
    told: Dict[str, Any] = {"name": name, "type": part.get_content_type()}
    if part.get_content_type() == "text/csv":
        told["rows"] = list(csv.DictReader(io.StringIO(content)))
    elif part.get_content_type() == "application/pdf":
        told["text"] = _pdf_text(content)
    letter.attachments.append(told)


def _sound(part: EmailMessage) -> None:
    headers = [value for _, value in part.items()]
    defects: List[MessageDefect] = [*part.defects, *(d for value in headers for d in getattr(value, "defects", ()))]
    serious = [defect for defect in defects if type(defect).__name__ not in HARMLESS]
    if serious:
        names = ", ".join(sorted({type(defect).__name__ for defect in serious}))
        raise Unreadable(f"the message is malformed: {names}")


def _content(part: EmailMessage) -> Any:
    try:
        content = part.get_content()
    except (LookupError, UnicodeError, ValueError) as error:
        raise Unreadable(f"a part can't be decoded: {error}") from error
    _sound(part)
    return content


def _words(body: EmailMessage) -> str:
    text = str(_content(body))
    if body.get_content_type() == "text/html":
        text = re.sub(r"(?is)<(script|style).*?</\1>", "", text)
        text = html.unescape(re.sub(r"(?s)<[^>]+>", " ", text)).replace("\xa0", " ")
    own = [line for line in text.splitlines() if not re.match(r">|On .* wrote:$", line)]
    return re.sub(r"[ \t]+", " ", "\n".join(own)).strip() + "\n"


def _pdf_text(content: bytes) -> str:
    """The strings that the uncompressed content of a simple PDF shows."""
    if not content.startswith(b"%PDF-"):
        raise Unreadable("an attachment says that it is a PDF, and is none")
    return " ".join(shown.decode("latin-1") for shown in re.findall(rb"\(([^)]*)\)\s*Tj", content))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().strip()
