// Compiled with `tsc --strict`, never run: the types that an ECMAScript module gets.
import hookAgent, { HookAgent, HookAgentError, checkpoint, logAction, logFileChange, logThinking, logToolCall, type Options, type Stats } from 'hook-agent';

const options: Options = { sessionId: 's-1', spoolFull: 'reject-new', spoolMaxBytes: 65536, blobs: 'off', blobThreshold: 1024 };
await using agent = new HookAgent(options);
const seq: number | undefined = (await agent.logAction({ type: 'tool_call' })).seq;
const version: number = (await agent.getState()).version;
await agent.updateState({ phase: 'testing' }, { ifVersion: version });
const flushed: boolean = await agent.flush(100);
const stats: Stats = agent.stats();
const status: string = (await hookAgent.testConnection()).status;
void logAction({ type: 'note', seq, flushed, status, pending: stats.pending });
try {
  await hookAgent.updateGoal('g-1', { status: 'completed' });
} catch (error) {
  if (error instanceof HookAgentError) console.error(error.code.toUpperCase());
}

void logToolCall('Bash', { command: 'ls' }, { callId: 'toolu_1' });
void logFileChange('/w/a.js', 'edit');
void logThinking(null);
void checkpoint('here');
// @ts-expect-error there is no such operation
void logFileChange('/w/a.js', 'touch');
// @ts-expect-error an action is an object
void logAction('text');
// @ts-expect-error there is no such option
void new HookAgent({ session: 's-1' });
// @ts-expect-error there is no such policy
void new HookAgent({ spoolFull: 'panic' });
// @ts-expect-error the default export is the old client's object, not an agent
void hookAgent.sessionId;
