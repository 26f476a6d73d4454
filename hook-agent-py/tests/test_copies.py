"""Agents are handles: they may be copied and sent to other processes, as frameworks do with what they are given."""

from __future__ import annotations

import copy
import pickle

from service import Service

from hook_agent import HookAgent, sync


def test_a_copy_is_the_same_handle(service: Service) -> None:
    agent = HookAgent("s-9", service.url)
    waiting = agent.sync
    assert copy.copy(agent) is agent and copy.copy(waiting) is waiting
    assert copy.deepcopy({"agents": [agent, waiting]})["agents"] == [agent, waiting]


def test_a_pickled_agent_speaks_for_the_same_session(service: Service) -> None:
    original = HookAgent("s-9", service.url)
    sent = pickle.loads(pickle.dumps(original))
    assert (sent.session_id, sent.service_url) == ("s-9", original.service_url)
    sent.log_action({"type": "tool_call"})
    assert sent.sync.flush()
    assert len(service.get("/api/actions/s-9")) == 1
    patient = pickle.loads(pickle.dumps(sync.HookAgent("s-9", service.url, timeout=3.0)))
    assert (patient.session_id, patient.timeout) == ("s-9", 3.0)
