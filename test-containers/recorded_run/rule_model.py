"""A chat model that decides by rules: the same messages give the same answer, and no network is needed.

It is a `BaseChatModel` like any other: it gets the messages, answers with text or tool calls, and calls the callbacks.
`latency_ms` makes it as slow as a real model.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from typing import Any, Dict, List, Optional, Sequence

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class RuleModel(BaseChatModel):
    """Plays one role, which decides what the rules are."""

    role: str
    latency_ms: int = 0

    @property
    def _llm_type(self) -> str:
        return "rules"

    def bind_tools(self, tools: Sequence[Any], **more: Any) -> Any:
        return self.bind(tools=[tool.name for tool in tools], **more)

    def _generate(
        self,
        messages: List[BaseMessage],
        stop: Optional[List[str]] = None,
        run_manager: Optional[CallbackManagerForLLMRun] = None,
        **more: Any,
    ) -> ChatResult:
        time.sleep(self.latency_ms / 1000)
        asked = json.loads(next(str(said.content) for said in messages if isinstance(said, HumanMessage)))
        return ChatResult(generations=[ChatGeneration(message=self._answer(asked, messages, more.get("tools", [])))])

    @abstractmethod
    def _answer(self, asked: Dict[str, Any], messages: List[BaseMessage], tools: List[str]) -> AIMessage:
        """The answer to what is asked, by the role's rules; `tools` are the names of those that it may call."""
