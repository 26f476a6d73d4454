#!/usr/bin/env python3
"""Writes the table of list prices, crates/session-insight/src/prices.json, from the table that LiteLLM publishes.

  pip download --no-deps litellm && unzip litellm-*.whl litellm/model_prices_and_context_window_backup.json
  scripts/prices.py litellm/model_prices_and_context_window_backup.json 'LiteLLM 1.110.2' 2026-11-30

The second argument names the source, the third is the day on which it was read. Only text models of Anthropic, OpenAI and
Google are taken, and only those whose price has a page of the provider as its source. A dated name without a page of its
own gets that of the same model without the date, if all prices are equal. Every price becomes an integer: micro-dollars
per million tokens. The script ends at a price that is not such an integer.
"""

import json
import re
import sys
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlparse

OUT = Path(__file__).resolve().parent.parent / "crates/session-insight/src/prices.json"
ADDRESS = "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json"
# LiteLLM's name of the provider: ours, the prefix of its models, and the hosts of its pages.
PROVIDERS = {
    "anthropic": ("anthropic", "", {"platform.claude.com", "docs.anthropic.com"}),
    "openai": ("openai", "", {"developers.openai.com", "platform.openai.com"}),
    "gemini": ("google", "gemini/", {"ai.google.dev", "cloud.google.com"}),
}
# Models whose price depends on more than tokens of text, or that are not products of their own.
NOT_TEXT = re.compile(r"^ft:|audio|tts|image|lyria|live|omni|gemma|learnlm|container|robotics|deep-research|search|computer-use|-exp-")
FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cacheRead": "cache_read_input_token_cost",
    "cacheWrite": "cache_creation_input_token_cost",
    "cacheWrite1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
}
# Models that LiteLLM no longer lists, from the provider's own page: dollars per million tokens for input, writing to the
# cache for 5 minutes and for an hour, reading from it, and output.
RETIRED_PAGE = "https://platform.claude.com/docs/en/docs/about-claude/pricing"
RETIRED = {
    "claude-opus-4-1-20250805": ("15", "18.75", "30", "1.50", "75"),
    "claude-opus-4-20250514": ("15", "18.75", "30", "1.50", "75"),
    "claude-sonnet-4-20250514": ("3", "3.75", "6", "0.30", "15"),
    "claude-3-7-sonnet-20250219": ("3", "3.75", "6", "0.30", "15"),
    "claude-3-5-haiku-20241022": ("0.80", "1", "1.6", "0.08", "4"),
    "claude-3-haiku-20240307": ("0.25", "0.30", "0.50", "0.03", "1.25"),
}
DATE = re.compile(r"-(?:\d{8}|\d{4}-\d\d-\d\d)$")
PER_MILLION_TOKENS_IN_MICRO_DOLLARS = Decimal(10) ** 12


def integer(name, field, price):
    amount = price * PER_MILLION_TOKENS_IN_MICRO_DOLLARS
    if amount != amount.to_integral_value() or amount < 0:
        sys.exit(f"{name}: {field} is {price} dollars per token, not a whole number of micro-dollars per million")
    return int(amount)


def prices(name, row, suffix=""):
    found = {
        ours: integer(name, theirs, row[theirs + suffix])
        for ours, theirs in FIELDS.items()
        if row.get(theirs + suffix) is not None
    }
    if found.get("reasoning") == found.get("output"):
        found.pop("reasoning", None)
    return found


def entry(name, row, provider):
    made = {"provider": provider, "page": row.get("source"), **prices(name, row)}
    tiers = {re.search(r"^input_cost_per_token_above_(\d+)k_tokens$", field) for field in row} - {None}
    for tier in sorted(tiers, key=lambda tier: int(tier[1])):
        made.setdefault("above", []).append(
            {"inputTokens": int(tier[1]) * 1000, **prices(name, row, f"_above_{tier[1]}k_tokens")}
        )
    return made


def models(table):
    found = {}
    for name, row in table.items():
        provider = PROVIDERS.get(row.get("litellm_provider"))
        if provider is None or row.get("mode") not in ("chat", "responses") or not row.get("input_cost_per_token"):
            continue
        ours, prefix, hosts = provider
        if not name.startswith(prefix) or NOT_TEXT.search(name):
            continue
        made = entry(name, row, ours)
        if urlparse(made["page"] or "").netloc not in hosts:
            made["page"] = None
        found[name.removeprefix(prefix)] = made
    for name, made in found.items():
        undated = found.get(DATE.sub("", name))
        if made["page"] is None and undated and undated["page"] and {**made, "page": 0} == {**undated, "page": 0}:
            made["page"] = undated["page"]
    kept = {name: made for name, made in found.items() if made["page"]}
    for name, columns in RETIRED.items():
        read = dict(zip(("input", "cacheWrite", "cacheWrite1h", "cacheRead", "output"), map(Decimal, columns)))
        dollars = {field: integer(name, field, read[field] / 10**6) for field in FIELDS if field in read}
        kept.setdefault(name, {"provider": "anthropic", "page": RETIRED_PAGE, **dollars})
    return dict(sorted(kept.items()))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    table = json.loads(Path(sys.argv[1]).read_text(), parse_float=Decimal, parse_int=Decimal)
    document = {
        "source": {"name": sys.argv[2], "address": ADDRESS, "date": sys.argv[3]},
        "unit": "micro-dollars per million tokens",
        "providers": {
            "anthropic": ["anthropic"],
            "openai": ["openai"],
            "google": ["google", "gemini", "gcp.gemini", "gcp.gen_ai"],
        },
        "models": models(table),
    }
    OUT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{OUT.name}: {len(document['models'])} models")


if __name__ == "__main__":
    main()
