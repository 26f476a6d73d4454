// Compiled with `tsc --strict`, never run: the recorder's types that an ECMAScript module gets.
import hookAgent, { HookAgent } from 'hook-agent';
import langchain, { Recorder } from 'hook-agent/langchain';
import type { BaseCallbackHandler } from '@langchain/core/callbacks/base';
import { RunnableLambda } from '@langchain/core/runnables';

const recorder: Recorder = new Recorder(new HookAgent({ sessionId: 's-1' }));
const handler: BaseCallbackHandler = new langchain.Recorder(hookAgent);
await RunnableLambda.from((text: string) => text.length).invoke('hm', { callbacks: [recorder, handler] });
recorder.endOpenRuns();
// @ts-expect-error a recorder needs an agent
void new Recorder();
