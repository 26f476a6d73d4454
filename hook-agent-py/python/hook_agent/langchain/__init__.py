"""A callback handler for LangChain and LangGraph: records messages, tool calls, steps, usage and errors as they happen.

>>> from hook_agent import hook_agent
>>> from hook_agent.langchain import Recorder
>>> graph.invoke(question, {"callbacks": [Recorder(hook_agent)]})  # doctest: +SKIP

Needs `langchain-core` (`pip install hook-agent[langchain]`). Its calls only queue, so no step is slowed. The records are
those of docs/RECORDS.md:

| What happens | Records |
|---|---|
| a model is asked | `user_message`, `system_message`: each message once, however often it is sent |
| a model answers | `thinking`, `assistant_message`, `usage` |
| a tool or retriever is called | a call of the type that the tool has, and its `tool_result` |
| a graph or a node of it runs | `step_started`, `step_ended` |
| a model fails | `error` |
| the reader of a stream stops early | `step_ended` with the status `interrupted`, `system_message` |

Each record has the `run` it belongs to, its `parentRun`, the graph's `node`, and as `about` the metadata of the caller's
configuration. Each has a key made of ids of LangChain, so several recorders record the same as one.
"""

from __future__ import annotations

from ._recorder import Recorder

__all__ = ["Recorder"]
