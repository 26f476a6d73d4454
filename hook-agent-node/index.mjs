// The same package for `import`: one agent, whichever way it is loaded.

import api from './index.js';

export const {
  HookAgent, HookAgentError, createSession, logAction, logResponse, logToolCall, logToolResult, logUserMessage,
  logAssistantMessage, logThinking, logUsage, logFileChange, checkpoint, updateState, addGoal, updateGoal, spawnAgent,
  completeAgent, updateMetadata, finalizeSession, reopenSession, getState, restore, testConnection, flush, stats, close,
} = api;
export default api.default;
