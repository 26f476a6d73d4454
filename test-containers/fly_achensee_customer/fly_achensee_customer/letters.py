"""The texts of the letters to the customers, in English and German."""

from __future__ import annotations

from typing import Any, Dict, List

from .rules import Report

HELLO = {"en": "Dear {name},", "de": "Liebe(r) {name},"}
GOODBYE = {"en": "Happy landings, your flight school at the Achensee", "de": "Gut Land, deine Flugschule am Achensee"}
OUTCOMES = {
    "booked": {
        "en": "you are booked: {code}, {persons} person(s), {slot}.",
        "de": "deine Buchung steht: {code}, {persons} Person(en), {slot}.",
    },
    "rebooked": {"en": "{code} is now on {slot}.", "de": "{code} ist jetzt am {slot}."},
    "offered": {
        "en": "we have no slot for {persons} at once. Free from that day on: {slots}.",
        "de": "für {persons} zugleich ist kein Platz. Frei ab diesem Tag: {slots}.",
    },
    "refunded": {
        "en": "we are sorry. {euros} euros for {code} are on their way back to you.",
        "de": "das tut uns leid. {euros} Euro für {code} sind auf dem Weg zu dir.",
    },
    "apologized": {
        "en": "we are sorry. Your complaint is number {number}; a voucher of {voucher} euros is yours.",
        "de": "das tut uns leid. Deine Beschwerde hat die Nummer {number}; ein Gutschein über {voucher} Euro ist dein.",
    },
    "escalated": {
        "en": "a colleague will write to you today ({error}).",
        "de": "eine Kollegin schreibt dir heute noch ({error}).",
    },
    "price": {"en": "the {product} flight is {euros} euros for about {minutes} minutes."},
    "weather": {"en": "{day}: {words}, wind {wind} km/h, rain {rain} %."},
    "left": {"en": "the forecast is fine, {code} stays as it is."},
    "rules": {"en": "{rules}", "de": "{rules}"},
}


def letter(name: str, language: str, reports: List[Report]) -> str:
    """All reports in one letter."""
    lines = [_words(report, language) for report in reports]
    return "\n".join([HELLO[language].format(name=name), *lines, GOODBYE[language]])


def _words(report: Report, language: str) -> str:
    facts = report.facts
    key = "rules" if "rules" in facts else facts.get("about", report.outcome)
    phrases = OUTCOMES[key]
    return phrases.get(language, phrases["en"]).format(**_shown(facts))


def _shown(facts: Dict[str, Any]) -> Dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
