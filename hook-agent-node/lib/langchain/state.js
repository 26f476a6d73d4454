'use strict';
// The state of a graph as it stands in a record.
//
// The client writes most values as JSON. Here messages are found in the state. A message that is recorded already, or that
// a state before had, is only named there: each step of a graph gets the whole conversation.

const { Memory } = require('./memory.js');
const { callsOf, digestOf, isMessage, roleOf } = require('./messages.js');

/** Deeper values are left to the client, which writes up to 120 levels. */
const DEEPEST = 60;

class State {
  #isRecorded;
  #seen = new Memory();

  constructor(isRecorded) {
    this.#isRecorded = isRecorded;
  }

  /** Returns the value with its messages named or opened. */
  of(value, depth = 0) {
    if (typeof value !== 'object' || value === null || depth >= DEEPEST) return value;
    if (isMessage(value)) return this.#message(value, depth);
    if (Array.isArray(value)) {
      if (value.length > 0 && value.every(isMessage)) return this.#messages(value, depth + 1);
      return value.map((item) => this.of(item, depth + 1));
    }
    if (value.lg_name === 'Command') return this.of(commandOf(value), depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.of(item, depth + 1)]));
  }

  #message(message, depth) {
    const name = message.id ? { messageId: message.id } : { digest: digestOf(message) };
    const role = roleOf(message);
    const isKnown = this.#seen.add(name.messageId ?? name.digest) !== undefined;
    if (isKnown || (message.id && this.#isRecorded(message.id))) return { role, ...name };
    const said = { role, ...name, content: this.of(message.content, depth + 1) };
    const calls = callsOf(message);
    if (message.name) said.name = message.name;
    if (calls.length > 0) said.toolCalls = calls;
    if (message.tool_call_id) said.toolCallId = message.tool_call_id;
    if (message.status) said.status = message.status;
    return said;
  }

  /** A conversation: the known messages that it begins with are counted, and the last of them is named. */
  #messages(messages, depth) {
    const seen = messages.map((message) => this.#message(message, depth));
    const found = seen.findIndex((one) => 'content' in one);
    const first = found < 0 ? seen.length : found;
    return first < 2 ? seen : [{ earlier: first, last: seen[first - 1] }, ...seen.slice(first)];
  }
}

/** Returns what a command says, without what it leaves open and LangGraph's own marks. */
function commandOf(command) {
  const isSaid = (value) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
  const fields = Object.entries(command).filter(([name, value]) => !/^l[cg]_/.test(name) && isSaid(value));
  return Object.fromEntries(fields);
}

/** Returns a document that a retriever found. */
function documentOf(found) {
  if (typeof found?.pageContent !== 'string') return found;
  return { ...(found.id === undefined ? {} : { id: found.id }), content: found.pageContent, metadata: found.metadata };
}

module.exports = { State, documentOf };
