"""An asyncio program: tasks that record what they do, and one place that waits for the service."""

from __future__ import annotations

import asyncio

from hook_agent import HookAgent, RejectedError


async def worker(agent: HookAgent, name: str) -> int:
    spawned = await agent.spawn_agent({"type": "worker", "task": name})
    for step in range(3):
        agent.log_action({"type": "tool_call", "worker": name, "step": step})  # queued, in order
        await asyncio.sleep(0)
    await agent.complete_agent(spawned["agentId"])
    return 3


async def main() -> None:
    async with HookAgent("asyncio-example") as agent:
        steps = await asyncio.gather(*(worker(agent, name) for name in ("north", "south")))
        state = await agent.get_state()
        await agent.update_state({"currentStep": sum(steps)}, if_version=state["version"])
        try:
            await agent.update_state({"currentStep": 0}, if_version=state["version"])
        except RejectedError as error:
            print(error.code)


asyncio.run(main())
