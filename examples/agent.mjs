// An agent that counts words and records what it does: `SESSION_ID=my-run node agent.mjs`.
//
// If it is killed and started again with the same SESSION_ID, it does the remaining work. Without the service it does
// all of its work, and its records wait in the spool.

import hookAgent from 'hook-agent';

const TEXTS = { 'g-1': 'the wind is calm', 'g-2': 'we fly at noon' };

/** The agent's only tool. */
const countWords = (text) => text.split(' ').length;

/** Returns the goals that an earlier run of this session has completed; creates the session if it finds none. */
async function completedGoals() {
  try {
    const { state } = await hookAgent.restore();
    return state.goals.filter((goal) => goal.status === 'completed').map((goal) => goal.id);
  } catch (error) {
    if (!['session_not_found', 'service_unreachable'].includes(error.code)) throw error;
    hookAgent.createSession({ source: 'example', input: TEXTS }, { userId: 'ada' });
    hookAgent.logUserMessage('Count the words of each text.');
    for (const id of Object.keys(TEXTS)) hookAgent.addGoal({ id, description: 'count the words' });
    return [];
  }
}

const done = await completedGoals();
for (const [goal, text] of Object.entries(TEXTS)) {
  if (done.includes(goal)) continue;
  // `callId` joins a call with its result.
  hookAgent.logToolCall('countWords', { text }, { callId: goal });
  const words = countWords(text);
  hookAgent.logToolResult('countWords', goal, { words }, { status: 'ok' });
  hookAgent.logAssistantMessage(`"${text}" has ${words} words.`, { messageId: goal });
  hookAgent.logUsage(goal, 'claude-haiku-4-5', { input: 20, output: 8 });
  hookAgent.updateGoal(goal, { status: 'completed' });
}
hookAgent.finalizeSession({ status: 'success', outcome: `${Object.keys(TEXTS).length} texts counted` });
console.log((await hookAgent.flush(10_000)) ? 'recorded' : `waits in the spool: ${JSON.stringify(hookAgent.stats())}`);
