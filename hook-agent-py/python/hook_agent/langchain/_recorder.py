"""The callback handler: makes a record of each thing that LangChain tells."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.outputs import LLMResult

from .._agent import HookAgent
from ._answers import about, messages_of, usage
from ._conversation import Conversation, messages_in, place_of
from ._ends import ends_of, interrupts_of, is_pause, is_stop, without_interrupts
from ._runs import Run, Runs
from ._state import State, document
from ._writer import Writer


class Recorder(BaseCallbackHandler):
    """Records what one session's chains and graphs do; may serve several at once."""

    run_inline = True

    def __init__(self, agent: HookAgent) -> None:
        self.agent = agent
        self._runs = Runs()
        self._conversation = Conversation()
        self._state = State(self._conversation.is_known)
        self._writer = Writer(agent)

    # LangGraph copies its configuration; runs that have started must still belong to this recorder.
    def __copy__(self) -> Recorder:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> Recorder:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return Recorder, (self.agent,)

    def on_chain_start(self, serialized: Optional[Dict[str, Any]], inputs: Any, **more: Any) -> None:
        """A chain, a graph or a node of it begins."""
        name = _name(serialized, more)
        node = (more.get("metadata") or {}).get("langgraph_node")
        is_step = node is None or node == name and not name.startswith("__")
        run = self._runs.begin(name, more, is_recorded=is_step)
        # A chain in a node may be a graph: that shows when the first of its nodes begins.
        run.inputs = inputs
        if not is_step:
            return
        graph = self._runs.around(more)
        if graph is not None and not graph.is_recorded and node is not None:
            graph.is_recorded = True
            run.parent = run.fields["parentRun"] = graph.run
            self._step_started(graph)
        self._step_started(run)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """A chain, graph or node has ended."""
        run = self._runs.end(run_id)
        if run is None or not run.is_recorded:
            return
        outputs, interrupts = without_interrupts(outputs)
        end: Dict[str, Any] = {"status": "paused" if interrupts or run.is_paused else "ok"}
        if interrupts:
            end["interrupts"] = self._state.of(interrupts)
        self._writer.step_ended(run, {**end, "outputs": self._state.of(outputs)})
        if run.is_root:
            for messages in messages_in(outputs):
                self._said(run, messages, is_end=True)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A chain has failed, waits for input, was stopped, or LangGraph leaves it on its way."""
        run = self._runs.end(run_id)
        if run is None:
            return
        if is_pause(error):
            self._runs.pause(run.root)
        if run.is_recorded:
            self._writer.step_ended(run, self._ends(error))
        if run.is_root and is_stop(error):
            self._writer.stopped(run)

    def on_chat_model_start(
        self, serialized: Optional[Dict[str, Any]], messages: List[List[BaseMessage]], **more: Any
    ) -> None:
        """A chat model is asked."""
        run = self._runs.begin(_name(serialized, more), more)
        for conversation in messages:
            run.asked = place_of(conversation)
            self._said(run, conversation, is_end=False)

    def on_llm_start(self, serialized: Optional[Dict[str, Any]], prompts: List[str], **more: Any) -> None:
        """A text model is asked."""
        run = self._runs.begin(_name(serialized, more), more)
        for at, prompt in enumerate(prompts):
            self._writer.prompt(run, at, prompt)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        """A model has answered."""
        run = self._runs.end(run_id)
        if run is not None:
            self._answered(run, response, {})

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A model has failed, or was stopped; what it had answered so far may be known."""
        run = self._runs.end(run_id)
        if run is None:
            return
        stop = {"stopReason": "interrupted"} if is_stop(error) else {}
        partial = more.get("response")
        if isinstance(partial, LLMResult) and any(partial.generations):
            self._answered(run, partial, stop)
        if not stop:
            self._writer.failed(run, error)
        elif run.is_root:
            self._writer.stopped(run)

    def on_tool_start(self, serialized: Optional[Dict[str, Any]], input_str: str, **more: Any) -> None:
        """A tool is called."""
        run = self._runs.begin(_name(serialized, more), more)
        given = more.get("inputs")
        call = more.get("tool_call_id")
        if call:
            self._conversation.has_result(call)
        self._writer.called(run, self._state.of(input_str if given is None else given), call)

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """A tool has answered."""
        run = self._runs.end(run_id)
        if run is None:
            return
        status = "error" if getattr(output, "status", None) == "error" else "ok"
        if isinstance(output, ToolMessage):
            self._conversation.has_result(output.tool_call_id)
            output = output.content
        self._writer.returned(run, self._state.of(output), {"status": status})

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A tool has failed, waits for input, or was stopped."""
        run = self._runs.end(run_id)
        if run is None:
            return
        # A call that waits goes no further: after the pause, LangGraph calls the tool again.
        end = self._ends(error)
        if end["status"] == "paused":
            end["status"] = "interrupted"
        self._writer.returned(run, None, end)

    def on_retriever_start(self, serialized: Optional[Dict[str, Any]], query: str, **more: Any) -> None:
        """Documents are looked for."""
        run = self._runs.begin(_name(serialized, more), more)
        self._writer.called(run, {"query": query}, None)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **more: Any) -> None:
        """Documents were found."""
        run = self._runs.end(run_id)
        if run is not None:
            found = [document(one) if isinstance(one, Document) else one for one in documents]
            self._writer.returned(run, found, {"status": "ok"})

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Looking for documents has failed."""
        run = self._runs.end(run_id)
        if run is not None:
            self._writer.returned(run, None, self._ends(error))

    def _step_started(self, run: Run) -> None:
        self._writer.step_started(run, self._state.of(run.inputs))
        run.inputs = None

    def _said(self, run: Run, messages: List[BaseMessage], is_end: bool) -> None:
        """Records the messages of a conversation that are new."""
        for message, name in self._conversation.new(run.root, messages, is_end):
            self._writer.message(run, message, name, messages)

    def _answered(self, run: Run, response: LLMResult, stop: Dict[str, str]) -> None:
        """Records an answer and what it cost."""
        facts = {**about(response, run.metadata), **stop}
        messages = messages_of(response)
        before = [self._conversation.answered(run.run, run.root, run.asked, message) for message in messages]
        if messages:
            self._writer.answers(run, messages, facts, is_repeated=any(before))
        else:
            self._writer.texts(run, [answer.text for batch in response.generations for answer in batch], facts)
        used = usage(response)
        if used is not None:
            name = messages[0].id if messages else None
            self._writer.used(run, name or run.run, {**facts, **used}, is_repeated=any(before))

    def _ends(self, error: BaseException) -> Dict[str, Any]:
        end = ends_of(error)
        asked = interrupts_of(error)
        return {**end, "interrupts": self._state.of(asked)} if asked else end


def _name(serialized: Optional[Dict[str, Any]], more: Dict[str, Any]) -> str:
    known = serialized or {}
    return str(more.get("name") or known.get("name") or (known.get("id") or ["unknown"])[-1])
