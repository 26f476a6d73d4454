'use strict';
// The public package. Nothing happens at import: the default agent is made by the first call that needs it.

const { HookAgent, hasSession, letGo } = require('./lib/agent.js');
const { HookAgentError } = require('./lib/error.js');

const METHODS = [
  'createSession', 'logAction', 'logResponse', 'logToolCall', 'logToolResult', 'logUserMessage', 'logAssistantMessage',
  'logThinking', 'logUsage', 'logFileChange', 'checkpoint', 'updateState', 'addGoal', 'updateGoal', 'spawnAgent',
  'completeAgent', 'updateMetadata', 'finalizeSession', 'reopenSession', 'getState', 'restore', 'testConnection', 'flush', 'stats',
  'close',
];

let agent;

/** The agent that the environment sets up, which may name a session as late as at the first call of one. */
function defaultAgent() {
  if (agent !== undefined && hasSession(agent)) return agent;
  if (agent !== undefined) letGo(agent);
  agent = new HookAgent();
  return agent;
}

const api = { HookAgent, HookAgentError };
for (const method of METHODS) api[method] = (...args) => defaultAgent()[method](...args);

module.exports = { ...api, default: api };
Object.defineProperty(module.exports, '__esModule', { value: true });
