"""What a message of LangChain says: its role, text, thinking and other content."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, FunctionMessage, HumanMessage, ToolMessage

# Parts of an answer's content that repeat its tool calls.
_CALLS = ("tool_use", "tool_call", "tool_call_chunk", "function_call", "input_json_delta")
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant", "tool": "tool"}


class Part(NamedTuple):
    """A text or a piece of thinking of an answer; `block` is its place among the blocks of the message."""

    block: int
    is_thinking: bool
    # None: known to the provider only.
    text: Optional[str]


def role_of(message: BaseMessage) -> str:
    """`user`, `assistant`, `tool` or `system`."""
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, (ToolMessage, FunctionMessage)):
        return "tool"
    return _ROLES.get(message.role.lower(), "system") if isinstance(message, ChatMessage) else "system"


def text_and_blocks(content: Any) -> Tuple[str, List[Any]]:
    """The text of a content, and its other blocks: images, files."""
    if isinstance(content, str):
        return content, []
    texts, blocks = [], []
    for block in _blocks(content):
        text = _text(block)
        if text is None:
            blocks.append(block)
        else:
            texts.append(text)
    return "\n".join(texts), blocks


def answer_parts(message: BaseMessage) -> Tuple[List[Part], List[Any]]:
    """The texts and the thinking of an answer, and its other blocks. Neighbouring texts are one. There is always a text."""
    content = [message.content] if isinstance(message.content, str) else _blocks(message.content)
    parts: List[Part] = []
    others: List[Any] = []
    for index, block in enumerate(content):
        text, thinking = _text(block), _thinking(block)
        if text is not None and parts and not parts[-1].is_thinking:
            parts[-1] = parts[-1]._replace(text=f"{parts[-1].text}{text}")
        elif text is not None:
            parts.append(Part(index, False, text))
        elif thinking is not None:
            parts.append(Part(index, True, thinking or None))
        elif not (isinstance(block, dict) and block.get("type") in _CALLS):
            others.append(block)
    beside = message.additional_kwargs.get("reasoning_content")
    if isinstance(beside, str) and beside and not any(part.is_thinking for part in parts):
        parts.insert(0, Part(len(content), True, beside))
    if all(part.is_thinking for part in parts):
        parts.append(Part(len(content), False, ""))
    return parts, others


def calls_of(message: BaseMessage) -> List[Dict[str, Any]]:
    """The tool calls of an answer: `id`, `name`, `args`."""
    calls = getattr(message, "tool_calls", None) or []
    return [{name: call.get(name) for name in ("id", "name", "args")} for call in calls]


def digest_of(message: BaseMessage, before: str = "") -> str:
    """What tells a message from others without its id; with `before`, also from the same one elsewhere."""
    text, blocks = text_and_blocks(message.content)
    sums = hashlib.sha256(f"{before}\0{role_of(message)}\0".encode())
    sums.update(text.encode("utf-8", "replace"))
    answers = getattr(message, "tool_call_id", None)
    if blocks or answers:
        more = json.dumps([blocks, answers], separators=(",", ":"), ensure_ascii=False, default=str)
        sums.update(more.encode("utf-8", "replace"))
    return sums.hexdigest()[:32]


def _blocks(content: Any) -> List[Any]:
    return content if isinstance(content, list) else [content]


def _text(block: Any) -> Optional[str]:
    if isinstance(block, str):
        return block
    if isinstance(block, dict) and block.get("type") in ("text", "output_text", "input_text"):
        text = block.get("text")
        return text if isinstance(text, str) else None
    return None


def _thinking(block: Any) -> Optional[str]:
    """The thinking in a block, "" if only the provider can read it; None if it is another block."""
    if not isinstance(block, dict):
        return None
    kind = block.get("type")
    if kind == "redacted_thinking":
        return ""
    if kind not in ("thinking", "reasoning", "reasoning_content"):
        return None
    found = block.get(kind)
    if isinstance(found, dict):
        found = found.get("text")
    if not isinstance(found, str):
        summary = block.get("summary")
        texts = [one.get("text") for one in summary if isinstance(one, dict)] if isinstance(summary, list) else []
        found = "\n".join(text for text in texts if isinstance(text, str))
    return found
