"""What a model says of itself: its name, its provider, why it stopped, and the tokens that it used."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

_MODEL = ("model_name", "model", "model_id")
_PROVIDER = ("model_provider",)
_STOP = ("finish_reason", "stop_reason", "stopReason", "done_reason")


def messages_of(response: LLMResult) -> List[BaseMessage]:
    """The messages of an answer; none if it is that of a model of texts."""
    answers = [generation for batch in response.generations for generation in batch]
    return [answer.message for answer in answers if isinstance(answer, ChatGeneration)]


def about(response: LLMResult, metadata: Dict[str, Any]) -> Dict[str, str]:
    """`model`, `provider` and `stopReason`, as far as they are known."""
    known: List[Any] = [getattr(message, "response_metadata", None) for message in messages_of(response)]
    known += [answer.generation_info for batch in response.generations for answer in batch]
    known.append(response.llm_output)
    found = {
        "model": _first(known, _MODEL) or _first([metadata], ("ls_model_name",)),
        "provider": _first(known, _PROVIDER) or _first([metadata], ("ls_provider",)),
        "stopReason": _first(known, _STOP),
    }
    return {name: value for name, value in found.items() if value is not None}


def usage(response: LLMResult) -> Optional[Dict[str, int]]:
    """The tokens of the request, `input` without the cached ones. None if the model does not say, or was not asked
    because the answer was in LangChain's cache."""
    for message in messages_of(response):
        used = getattr(message, "usage_metadata", None)
        if used:
            return None if used.get("total_cost") == 0 else _of_message(used)
    used = (response.llm_output or {}).get("token_usage")
    return _of_output(used) if isinstance(used, dict) and used else None


def _of_message(used: Dict[str, Any]) -> Dict[str, int]:
    of_input, of_output = used.get("input_token_details") or {}, used.get("output_token_details") or {}
    hour = _count(of_input, "ephemeral_1h_input_tokens")
    parts = hour + _count(of_input, "ephemeral_5m_input_tokens")
    read, written = _count(of_input, "cache_read"), _count(of_input, "cache_creation") or parts
    tokens = {
        "input": max(_count(used, "input_tokens") - read - written, 0),
        "output": _count(used, "output_tokens"),
        "cacheRead": read,
        "cacheWrite": written,
        "reasoning": _count(of_output, "reasoning"),
    }
    return {**tokens, "cacheWrite1h": hour} if hour else tokens


def _of_output(used: Dict[str, Any]) -> Dict[str, int]:
    of_input, of_output = used.get("prompt_tokens_details") or {}, used.get("completion_tokens_details") or {}
    read = _count(of_input, "cached_tokens")
    return {
        "input": max(_count(used, "prompt_tokens") - read, 0),
        "output": _count(used, "completion_tokens"),
        "cacheRead": read,
        "cacheWrite": 0,
        "reasoning": _count(of_output, "reasoning_tokens"),
    }


def _first(known: List[Any], names: Any) -> Optional[str]:
    values = (one.get(name) for one in known if isinstance(one, dict) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _count(of: Dict[str, Any], name: str) -> int:
    value = of.get(name)
    return value if isinstance(value, int) and value > 0 else 0
