// Asynchronous tasks, each a sub-agent of the session; only the answers that matter are awaited.
//
//   SESSION_ID=demo node examples/tasks.mjs

import { setTimeout as pause } from 'node:timers/promises';
import { HookAgent } from 'hook-agent';

const agent = new HookAgent();
await agent.createSession({ input: 'review three files' });

async function review(file) {
  const { agentId } = await agent.spawnAgent({ type: 'reviewer', task: file });
  for (let line = 0; line < 3; line += 1) {
    agent.logAction({ type: 'tool_call', tool: 'read', file, line });
    await pause(5);
  }
  // The service was away: the record is in the spool, and its id is not known yet.
  if (agentId !== undefined) agent.completeAgent(agentId);
}

try {
  await Promise.all(['a.js', 'b.js', 'c.js'].map(review));
  agent.finalizeSession({ status: 'success' });
} catch (error) {
  agent.finalizeSession({ status: 'error', outcome: error.code });
} finally {
  await agent.close();
}
