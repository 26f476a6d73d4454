"""A chat model that gives the answers of the two roles."""

from __future__ import annotations

from typing import Any, Dict, List

from langchain_core.messages import AIMessage, BaseMessage
from recorded_run.rule_model import RuleModel

from .rules import classify, draft


class OfficeModel(RuleModel):
    """Plays `classifier` or `writer`."""

    def _answer(self, asked: Dict[str, Any], messages: List[BaseMessage], tools: List[str]) -> AIMessage:
        if self.role == "classifier":
            return AIMessage(classify(asked))
        return AIMessage(draft(asked["kind"], asked["name"], asked["letter"]))
