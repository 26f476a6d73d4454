// Compiled with `tsc --strict`, never run: the types that CommonJS gets.
import hookAgent, { logAction } from 'hook-agent';
import whole = require('hook-agent');

void logAction({ type: 'tool_call' }).then((answer) => answer.queued === true);
void hookAgent.finalizeSession({ status: 'success' });
void whole.default.addGoal({ description: 'ship it' }).then(({ goal }) => goal?.id.length);
const close: (timeoutMs?: number) => Promise<boolean> = whole.close;
void close();
