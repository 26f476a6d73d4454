"""Extracts from a customer's text what the rules need: day, time, persons, booking code, topics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional

YEAR = 2026
NUMBERS = {"one": 1, "eine": 1, "einen": 1, "two": 2, "zwei": 2, "three": 3, "drei": 3, "four": 4, "vier": 4}
TOPICS = {
    "customer_care": r"refund|money back|complain|\bdog\b|\bnight\b|disappointed|beschwer|geld zurück",
    "weather_safety": r"weather|forecast|is it safe|wetter|vorhersage|\bkg\b",
    "booking": r"\bbook\b|move|voucher|how much|price|buchen|verschieben",
}
RULES = {"night": r"\bnight\b", "animals": r"\bdog\b", "weight": r"\bkg\b", "age": r"years old|jahre alt"}


@dataclass(frozen=True)
class Reading:
    """The facts of one text."""

    text: str
    days: List[str]
    part: Optional[str]
    persons: int
    code: Optional[str]
    topics: List[str]
    rules: List[str]
    product: str


def read(text: str) -> Reading:
    """Reads a text, English or German."""
    low = text.lower()
    code = re.search(r"AC-\d{4}", text)
    return Reading(
        text=text,
        days=_days(low),
        part=_part(low),
        persons=_persons(low),
        code=code.group() if code else None,
        topics=_topics(low),
        rules=_found(RULES, low),
        product="thermal" if "thermal" in low else "panorama",
    )


def _topics(low: str) -> List[str]:
    """Who is asked, in this order. A complaint that mentions weather or a booking is a complaint."""
    found = _found(TOPICS, low)
    return ["customer_care"] if "customer_care" in found else found


def _found(patterns: Dict[str, str], low: str) -> List[str]:
    return [name for name, pattern in patterns.items() if re.search(pattern, low)]


def _days(low: str) -> List[str]:
    return [f"{YEAR}-06-{int(day):02}" for day in re.findall(r"(\d{1,2})\.? (?:june|juni)", low)]


def _part(low: str) -> Optional[str]:
    if re.search(r"morning|vormittag", low):
        return "morning"
    return "afternoon" if re.search(r"afternoon|nachmittag", low) else None


def _persons(low: str) -> int:
    found = re.search(r"(\d+|" + "|".join(NUMBERS) + r") (?:people|persons?|personen)", low)
    if not found:
        return 1
    word = found.group(1)
    return NUMBERS[word] if word in NUMBERS else int(word)
