'use strict';
// The graph whose records the recorders of Python and Node.js must make alike; `langchain_app.py` of the Python package
// describes it.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { BaseChatModel } = require('@langchain/core/language_models/chat_models');
const { AIMessage, HumanMessage, SystemMessage } = require('@langchain/core/messages');
const { BaseRetriever } = require('@langchain/core/retrievers');
const { tool } = require('@langchain/core/tools');
const { Annotation, Command, MemorySaver, MessagesAnnotation, START, StateGraph, interrupt } = require('@langchain/langgraph');
const { ToolNode } = require('@langchain/langgraph/prebuilt');
const { z } = require('zod');

const file = path.join(__dirname, '../../../crates/session-model/tests/fixtures/langchain_records.json');
const fixture = JSON.parse(readFileSync(file, 'utf8'));

const State = Annotation.Root({ ...MessagesAnnotation.spec, approved: Annotation });

/** Gives these answers, one after another. */
class Fake extends BaseChatModel {
  #answers;

  constructor(answers) {
    super({});
    this.#answers = [...answers];
  }

  _llmType() {
    return 'fake';
  }

  async _generate() {
    const message = this.#answers.shift();
    if (message instanceof Error) throw message;
    return { generations: [{ text: message.text, message }] };
  }
}

/** Finds one note, unless it is asked for `none`. */
class Notes extends BaseRetriever {
  lc_namespace = ['tests'];

  static lc_name() {
    return 'Notes';
  }

  async _getRelevantDocuments(query) {
    if (query === 'none') throw new Error('no index');
    return [{ pageContent: 'Use expr.', metadata: { page: 3 }, id: 'n-1' }];
  }
}

const execute = tool(async () => '4', { name: 'execute', description: 'Runs a command.', schema: z.object({ command: z.string() }) });

function graph() {
  const model = new Fake(fixture.answers.map((answer) => new AIMessage(answer)));
  const ask = async ({ messages }, config) => ({ messages: [await model.invoke([new SystemMessage('Be brief.'), ...messages], config)] });
  const search = async (state, config) => {
    await new Notes().invoke('sums', config);
    return ask(state, config);
  };
  const lookup = new StateGraph(State).addNode('search', search).addEdge(START, 'search').compile({ name: 'lookup' });
  return new StateGraph(State)
    .addNode('research', lookup)
    .addNode('tools', new ToolNode([execute]))
    .addNode('approve', () => ({ approved: interrupt({ question: 'Go on?' }) }))
    .addNode('answer', ask)
    .addEdge(START, 'research')
    .addEdge('research', 'tools')
    .addEdge('tools', 'approve')
    .addEdge('approve', 'answer')
    .compile({ name: 'sums', checkpointer: new MemorySaver() });
}

/** Asks the question, and approves what the graph waits for. */
async function runGraph(callbacks) {
  const app = graph();
  const settings = { callbacks, metadata: { request: 'r-7' }, configurable: { thread_id: 't-1' } };
  await app.invoke({ messages: [new HumanMessage({ content: 'What is 2 + 2?', id: 'q-1' })] }, settings);
  await app.invoke(new Command({ resume: 'yes' }), settings);
}

/** Fields whose values differ from run to run. */
const OF_THE_RUN = new Set(['seq', 'timestamp', 'receivedAt', 'durationMs', 'eventId', 'offset']);
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Returns the records of a session; ids of runs are numbered in the order in which they appear. */
function comparable({ actions, responses }) {
  const names = new Map();
  const numbered = (id) => {
    if (!names.has(id)) names.set(id, `$${names.size + 1}`);
    return names.get(id);
  };
  const text = JSON.stringify(sorted({ actions: actions.map(constant), responses: responses.map(constant) }));
  return JSON.parse(text.replace(UUID, numbered));
}

function constant(record) {
  return Object.fromEntries(Object.entries(record).filter(([name, value]) => !OF_THE_RUN.has(name) && !name.startsWith('$') && value !== null));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

module.exports = { Fake, Notes, comparable, fixture, runGraph };
