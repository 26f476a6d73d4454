"""A chat model that decides by rules: the same messages give the same answer, and no network is needed.

It is a `BaseChatModel` as any other: it gets the messages, answers with text or tool calls, and tells the callbacks.
`latency_ms` makes it as slow as a model that thinks.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Optional, Sequence

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from .letters import letter
from .reading import read
from .rules import SPECIALISTS, Call, Report, Sight, Told, next_specialist


class RuleModel(BaseChatModel):
    """Plays one role: `governor`, or one of the specialists."""

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
        answer = self._governs(asked, messages) if self.role == "governor" else self._works(asked, messages, more)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _governs(self, asked: Dict[str, Any], messages: List[BaseMessage]) -> AIMessage:
        reports = _reports(messages)
        to = next_specialist(read(asked["text"]), reports)
        if to:
            return _calling("hand_over", {"to": to, "task": asked["text"]}, messages)
        words = letter(asked["from"], asked.get("language", "en"), list(reports.values()))
        outcome = list(reports.values())[-1].outcome
        return AIMessage(json.dumps({"outcome": outcome, "letter": words}, ensure_ascii=False))

    def _works(self, asked: Dict[str, Any], messages: List[BaseMessage], bound: Dict[str, Any]) -> AIMessage:
        reports = {name: Report(**report) for name, report in asked["reports"].items()}
        decision = SPECIALISTS[self.role](Sight(read(asked["text"]), asked["from"], _told(messages), reports))
        if isinstance(decision, Call):
            if decision.tool not in bound["tools"]:
                raise ValueError(f"{self.role} has no tool {decision.tool}")
            return _calling(decision.tool, decision.given, messages)
        return AIMessage(json.dumps({"outcome": decision.outcome, "facts": decision.facts}, ensure_ascii=False))


def _calling(tool: str, given: Dict[str, Any], messages: List[BaseMessage]) -> AIMessage:
    call = {"name": tool, "args": given, "id": f"call-{tool}-{len(messages)}"}
    return AIMessage(content="", tool_calls=[call])


def _told(messages: List[BaseMessage]) -> List[Told]:
    """The tools' answers so far."""
    answers = [said for said in messages if isinstance(said, ToolMessage)]
    return [
        Told(str(said.name), error=str(said.content))
        if said.status == "error"
        else Told(str(said.name), json.loads(str(said.content)))
        for said in answers
    ]


def _reports(messages: List[BaseMessage]) -> Dict[str, Report]:
    """The specialists' reports, in their order."""
    answers = [said for said in messages if isinstance(said, ToolMessage)]
    return {str(said.name): Report(**json.loads(str(said.content))) for said in answers}
