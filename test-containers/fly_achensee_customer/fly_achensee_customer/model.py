"""A chat model that gives the roles' answers, as the rules decide them."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from recorded_run.rule_model import RuleModel

from .letters import letter
from .reading import read
from .rules import SPECIALISTS, Call, Report, Sight, Told, next_specialist


class SchoolModel(RuleModel):
    """Plays one role: `governor`, or one of the specialists."""

    def _answer(self, asked: Dict[str, Any], messages: List[BaseMessage], tools: List[str]) -> AIMessage:
        return self._governs(asked, messages) if self.role == "governor" else self._works(asked, messages, tools)

    def _governs(self, asked: Dict[str, Any], messages: List[BaseMessage]) -> AIMessage:
        reports = _reports(messages)
        to = next_specialist(read(asked["text"]), reports)
        if to:
            return _calling("hand_over", {"to": to, "task": asked["text"]}, asked, messages)
        words = letter(asked["from"], asked.get("language", "en"), list(reports.values()))
        outcome = list(reports.values())[-1].outcome
        return AIMessage(json.dumps({"outcome": outcome, "letter": words}, ensure_ascii=False))

    def _works(self, asked: Dict[str, Any], messages: List[BaseMessage], tools: List[str]) -> AIMessage:
        reports = {name: Report(**report) for name, report in asked["reports"].items()}
        decision = SPECIALISTS[self.role](Sight(read(asked["text"]), asked["from"], _told(messages), reports))
        if isinstance(decision, Call):
            if decision.tool not in tools:
                raise ValueError(f"{self.role} has no tool {decision.tool}")
            return _calling(decision.tool, decision.given, asked, messages)
        return AIMessage(json.dumps({"outcome": decision.outcome, "facts": decision.facts}, ensure_ascii=False))


def _calling(tool: str, given: Dict[str, Any], asked: Dict[str, Any], messages: List[BaseMessage]) -> AIMessage:
    call = {"name": tool, "args": given, "id": f"call-{asked['id']}-{tool}-{len(messages)}"}
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
