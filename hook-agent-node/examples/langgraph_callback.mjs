// A LangGraph graph whose every step, tool call, message and token count is recorded by a callback handler.

import { HookAgent } from 'hook-agent';
import { Recorder } from 'hook-agent/langchain';
import { tool } from '@langchain/core/tools';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { Annotation, START, StateGraph } from '@langchain/langgraph';
import { z } from 'zod';

const length = tool(({ text }) => text.length, {
  name: 'length',
  description: 'How long a text is.',
  schema: z.object({ text: z.string() }),
});
const model = new FakeListChatModel({ responses: ['It is long.'] });

async function measure({ text }, config) {
  return { answer: String(await length.invoke({ text }, config)) };
}

async function comment({ answer }, config) {
  const said = await model.invoke(`${answer} characters: what do you say?`, config);
  return { answer: `${answer}: ${said.content}` };
}

const graph = new StateGraph(Annotation.Root({ text: Annotation, answer: Annotation }))
  .addNode('measure', measure)
  .addNode('comment', comment)
  .addEdge(START, 'measure')
  .addEdge('measure', 'comment')
  .compile();

const agent = new HookAgent({ sessionId: 'langgraph-example' });
const result = await graph.invoke({ text: 'a question' }, { callbacks: [new Recorder(agent)] });
console.log(result.answer);
process.exitCode = (await agent.close()) ? 0 : 1;
