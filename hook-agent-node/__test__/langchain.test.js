'use strict';
// The recorder for LangChain.js and LangGraph.js, with the real libraries and the real service.

const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const test = require('node:test');
const { FakeListChatModel } = require('@langchain/core/utils/testing');
const { AIMessage, AIMessageChunk, HumanMessage, ToolMessage } = require('@langchain/core/messages');
const { RunnableLambda } = require('@langchain/core/runnables');
const { tool } = require('@langchain/core/tools');
const { MessagesAnnotation, START, StateGraph } = require('@langchain/langgraph');
const { Recorder } = require('hook-agent/langchain');
const { z } = require('zod');
const { Fake, Notes, comparable, fixture, runGraph } = require('./support/langchain_app.js');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, SESSION, agentFor, until } = require('./support/setup.js');

async function recorder(t, options = {}) {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url, options);
  t.after(() => agent.close(0));
  const recorded = async () => {
    assert.ok(await agent.flush(DEADLINE_MS));
    return (await service.get(`/api/sessions/${SESSION}`)).body;
  };
  return { agent, recorded, handler: new Recorder(agent) };
}

const types = (log) => log.map(({ type }) => type);
const ofType = (log, type) => log.filter((record) => record.type === type);

test('a graph makes the records of the fixture', async (t) => {
  const { handler, recorded } = await recorder(t);
  await runGraph([handler]);
  const session = await recorded();
  const made = comparable(session);
  assert.deepEqual(made.actions, fixture.actions);
  assert.deepEqual(made.responses, fixture.responses);
  assert.deepEqual(session.metadata.metrics, fixture.metrics);
  for (const [name, count] of Object.entries(fixture.tokens)) assert.equal(session.metadata.tokenUsage[name], count, name);
  assert.equal(session.metadata.model, 'fake-1');
});

for (const isSame of [true, false]) {
  test(`two recorders make the same records as one${isSame ? ', also one that is installed twice' : ''}`, async (t) => {
    const { agent, handler, recorded } = await recorder(t);
    await runGraph([handler, isSame ? handler : new Recorder(agent)]);
    const session = await recorded();
    const made = comparable(session);
    assert.deepEqual(made.actions, fixture.actions);
    assert.deepEqual(made.responses, fixture.responses);
    assert.deepEqual(session.metadata.metrics, fixture.metrics);
  });
}

test('every record is one of the vocabulary', async (t) => {
  const { agent } = await recorder(t);
  const answers = [];
  const noting = new Proxy(agent, {
    get: (target, method) => (...args) => {
      answers.push(target[method](...args));
    },
  });
  await runGraph([new Recorder(noting)]);
  const found = await Promise.all(answers);
  assert.ok(found.length > 20);
  assert.deepEqual(found.filter(({ vocabulary, queued }) => vocabulary !== undefined || queued), []);
});

/** A graph of two nodes: the first one asks a model that streams its answer. */
function talkative(model) {
  const ask = async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] });
  const graph = new StateGraph(MessagesAnnotation).addNode('ask', ask).addNode('after', () => ({}));
  return graph.addEdge(START, 'ask').addEdge('ask', 'after').compile({ name: 'talk' });
}

test('a reader that stops early has interrupted the graph and the answer', async (t) => {
  const { handler, recorded } = await recorder(t);
  const graph = talkative(new FakeListChatModel({ responses: ['a long answer'], sleep: 20 }));
  const stream = await graph.stream({ messages: [new HumanMessage('hm')] }, { callbacks: [handler], streamMode: 'messages' });
  for await (const _ of stream) break;
  await until(async () => ofType((await recorded()).responses, 'assistant_message').length > 0, 'the model has stopped');

  const { actions, responses } = await recorded();
  const ends = ofType(actions, 'step_ended').map(({ name, status }) => [name, status]);
  assert.deepEqual(ends, [['ask', 'interrupted'], ['talk', 'interrupted']]);
  assert.deepEqual(ofType(actions, 'error'), []);
  const [notice] = ofType(responses, 'system_message');
  assert.equal(notice.reason, 'interrupted');
  const [answer] = ofType(responses, 'assistant_message');
  assert.equal(answer.stopReason, 'interrupted');
  assert.ok('a long answer'.startsWith(answer.text) && answer.text !== 'a long answer', answer.text);
});

test('a stream of a model that its reader left is ended on request', async (t) => {
  const { handler, recorded } = await recorder(t);
  const model = new FakeListChatModel({ responses: ['a long answer'] });
  for await (const _ of await model.stream('hm', { callbacks: [handler] })) break;
  handler.endOpenRuns();

  const { responses } = await recorded();
  assert.deepEqual(types(responses), ['user_message', 'system_message']);
  assert.equal(responses[1].reason, 'interrupted');
});

test('an error is recorded where it came from', async (t) => {
  const { handler, recorded } = await recorder(t);
  const graph = talkative(new Fake([Object.assign(new Error('overloaded'), { name: 'APIError' })]));
  await assert.rejects(graph.invoke({ messages: [new HumanMessage('hm')] }, { callbacks: [handler] }), /overloaded/);
  const odd = tool(() => { throw new RangeError('3 is odd'); }, { name: 'halve', schema: z.object({ n: z.number() }) });
  await assert.rejects(odd.invoke({ n: 3 }, { callbacks: [handler] }), /3 is odd/);

  const { actions } = await recorded();
  const [error] = ofType(actions, 'error');
  assert.deepEqual([error.message, error.kind], ['overloaded', 'APIError']);
  const ends = ofType(actions, 'step_ended').map(({ name, status, errorType }) => [name, status, errorType]);
  assert.deepEqual(ends, [['ask', 'error', 'APIError'], ['talk', 'error', 'APIError']]);
  const [result] = ofType(actions, 'tool_result');
  assert.deepEqual([result.tool, result.status, result.error], ['halve', 'error', '3 is odd']);
});

test('a retriever is a call with a result', async (t) => {
  const { handler, recorded } = await recorder(t);
  const notes = new Notes();
  await notes.invoke('sums', { callbacks: [handler] });
  await assert.rejects(notes.invoke('none', { callbacks: [handler] }), /no index/);

  const { actions } = await recorded();
  const [call, result, , failure] = actions;
  assert.deepEqual(types(actions), ['tool_call', 'tool_result', 'tool_call', 'tool_result']);
  assert.deepEqual([call.tool, call.input, call.callId], ['Notes', { query: 'sums' }, result.callId]);
  assert.deepEqual([result.status, result.output[0].content], ['ok', 'Use expr.']);
  assert.deepEqual([failure.status, failure.error], ['error', 'no index']);
});

test('a conversation grows by what is new', async (t) => {
  const { handler, recorded } = await recorder(t);
  const model = new FakeListChatModel({ responses: ['well'] });
  const conversation = [];
  for (let turn = 0; turn < 3; turn += 1) {
    conversation.push(new HumanMessage('and?'));
    const answer = await model.invoke(conversation, { callbacks: [handler] });
    conversation.push(new AIMessage(answer.content)); // without its id
  }
  await model.invoke([new HumanMessage('and?')], { callbacks: [handler] });

  const { responses } = await recorded();
  const talk = ['user_message', 'assistant_message'];
  assert.deepEqual(types(responses), [...talk, ...talk, ...talk, ...talk]);
});

test('a recorder that goes on with a conversation records what is new', async (t) => {
  const { agent, recorded } = await recorder(t);
  let said = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const graph = talkative(new FakeListChatModel({ responses: ['well'] }));
    const messages = [...said, new HumanMessage({ content: 'and?', id: `q-${turn}` })];
    ({ messages: said } = await graph.invoke({ messages }, { callbacks: [new Recorder(agent)] }));
  }

  const talk = ['user_message', 'assistant_message'];
  assert.deepEqual(types((await recorded()).responses), [...talk, ...talk, ...talk]);
});

test('a tool call that the program answers itself is a call with a result', async (t) => {
  const { handler, recorded } = await recorder(t);
  const calls = [{ name: 'ls', args: { path: '.' }, id: 'c-1' }];
  const asked = [new HumanMessage('hm'), new AIMessage({ content: '', tool_calls: calls })];
  const answered = new ToolMessage({ content: 'a.js', tool_call_id: 'c-1', status: 'error' });
  const model = new FakeListChatModel({ responses: ['well'] });
  for (let turn = 0; turn < 2; turn += 1) await model.invoke([...asked, answered], { callbacks: [handler] });

  const { actions } = await recorded();
  const [call, result] = actions;
  assert.deepEqual(types(actions), ['tool_call', 'tool_result']);
  assert.deepEqual([call.tool, call.input, call.callId], ['ls', { path: '.' }, 'c-1']);
  assert.deepEqual([result.status, result.output], ['error', 'a.js']);
});

test('a request of the same message id is counted, an answer from the cache is not', async (t) => {
  const { handler, recorded } = await recorder(t);
  const usage = { input_tokens: 10, output_tokens: 4, total_tokens: 14 };
  const answer = () => new AIMessage({ content: 'well', id: 'm-1', usage_metadata: usage });
  const model = new Fake([answer(), answer()]);
  for (let turn = 0; turn < 2; turn += 1) await model.invoke('hm', { callbacks: [handler] });
  const cached = new Fake([new AIMessage({ content: 'well', id: 'm-2', usage_metadata: usage })]);
  cached.cache = new (require('@langchain/core/caches').InMemoryCache)();
  for (let turn = 0; turn < 2; turn += 1) await cached.invoke('hm', { callbacks: [handler] });

  const { metadata, responses } = await recorded();
  assert.deepEqual([metadata.tokenUsage.requests, metadata.tokenUsage.input], [3, 30]);
  assert.equal(ofType(responses, 'assistant_message').length, 4);
});

test('an image of 11 MB costs no record', async (t) => {
  const { handler, recorded } = await recorder(t);
  const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(8_250_000)]);
  const image = `data:image/png;base64,${png.toString('base64')}`;
  const content = [{ type: 'text', text: 'what is it?' }, { type: 'image_url', image_url: { url: image } }];
  await new FakeListChatModel({ responses: ['a fish'] }).invoke([new HumanMessage({ content })], { callbacks: [handler] });

  const { responses } = await recorded();
  const [asked, answered] = responses;
  assert.deepEqual([asked.text, answered.text], ['what is it?', 'a fish']);
  const reference = asked.blocks[0].image_url.url;
  assert.equal(reference.$blob, `sha256:${createHash('sha256').update(png).digest('hex')}`);
  assert.deepEqual([reference.bytes, reference.mediaType], [png.length, 'image/png']);
  assert.equal(asked.truncated, undefined);
});

test('a chain without a graph is recorded by its steps', async (t) => {
  const { handler, recorded } = await recorder(t);
  const shout = RunnableLambda.from((text) => text.toUpperCase()).withConfig({ runName: 'shout' });
  assert.equal(await shout.invoke('hm', { callbacks: [handler] }), 'HM');
  const { actions } = await recorded();
  assert.deepEqual(actions.map(({ type, name, status }) => [type, name, status]), [
    ['step_started', 'shout', undefined],
    ['step_ended', 'shout', 'ok'],
  ]);
});

test('thinking beside the content and chunks of an answer are recorded', async (t) => {
  const { handler, recorded } = await recorder(t);
  const chunk = new AIMessageChunk({ content: 'well', id: 'm-1', additional_kwargs: { reasoning_content: 'hm' } });
  const hidden = new AIMessage({ id: 'm-2', content: [{ type: 'redacted_thinking', data: 'x' }, 'a', { type: 'text', text: 'b' }] });
  const model = new Fake([chunk, hidden]);
  for (const text of ['one', 'two']) await model.invoke(text, { callbacks: [handler] });

  const { responses } = await recorded();
  const said = responses.filter(({ type }) => type !== 'user_message').map(({ type, key, text, encrypted }) => [type, key, text, encrypted]);
  assert.deepEqual(said, [
    ['thinking', 'msg:m-1:1', 'hm', undefined],
    ['assistant_message', 'msg:m-1:0', 'well', undefined],
    ['thinking', 'msg:m-2:0', undefined, true],
    ['assistant_message', 'msg:m-2:1', 'ab', undefined],
  ]);
});
