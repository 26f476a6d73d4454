'use strict';
// Writes the records: their types, fields and keys.

const { answerParts, callsOf, roleOf, textAndBlocks } = require('./messages.js');

/** The names of the tools of LangChain and Deep Agents decide the types of calls. */
const ORIGIN = { agent: 'langchain', lane: 'sdk' };
/** The longest texts of a record that would otherwise be too large. */
const SHORT = [4096, 512];

class Writer {
  #agent;
  #model;

  constructor(agent) {
    this.#agent = agent;
  }

  /** A graph or a node of it began. */
  stepStarted(run, inputs) {
    const step = { type: 'step_started', name: run.name, timestamp: run.timestamp };
    this.#act({ ...step, ...run.fields, inputs, key: `${run.run}:start` });
  }

  /** A graph or a node of it ended. */
  stepEnded(run, end) {
    const step = { type: 'step_ended', name: run.name, ...run.fields, durationMs: run.millis() };
    this.#act({ ...step, ...end, key: `${run.run}:end` });
  }

  /** The whole of a trace was stopped from outside. */
  stopped(run) {
    const notice = { type: 'system_message', text: `${run.name} was stopped before its end.`, reason: 'interrupted' };
    this.#say({ ...notice, ...run.fields, key: `${run.run}:interrupted` });
  }

  /** A model failed. */
  failed(run, error) {
    const known = { type: 'error', message: String(error?.message ?? error), kind: error?.name ?? typeof error, of: 'model', name: run.name };
    this.#act({ ...known, ...run.fields, durationMs: run.millis(), key: `${run.run}:end` });
  }

  /** A tool was called; its run is the call. */
  called(run, input, toolCallId) {
    const fields = { ...run.fields, callId: run.run };
    if (toolCallId) fields.toolCallId = toolCallId;
    this.#call(run.name, input, fields);
  }

  /** A call ended. */
  returned(run, output, end) {
    this.#result(run.name, run.run, output, { ...run.fields, ...end, durationMs: run.millis() });
  }

  /** A model of texts was asked. */
  prompt(run, at, text) {
    this.#user(text, { ...run.fields, key: `msg:${run.run}:${at}` });
  }

  /** A message that was sent to a model. `around` is the conversation. */
  message(run, message, name, around) {
    const role = roleOf(message);
    if (role === 'tool') this.#resultByHand(run, message, around);
    else if (role === 'assistant') this.#answer(run.fields, message, name, 0, {});
    else this.#said(run, message, name, role);
  }

  #said(run, message, name, role) {
    const { text, blocks } = textAndBlocks(message.content);
    const fields = { ...run.fields, key: `msg:${name}:0` };
    if (message.id) fields.messageId = message.id;
    if (blocks.length > 0) fields.blocks = blocks;
    if (role === 'user') this.#user(text, fields);
    else this.#say({ type: 'system_message', text, reason: 'injected', ...fields });
  }

  /** A model answered; several times, if it was asked to. A repeated message has the id of an earlier one. */
  answers(run, messages, facts, isRepeated) {
    const fields = { ...run.fields, durationMs: run.millis() };
    const after = new Map();
    for (const message of messages) {
      const name = isRepeated || !message.id ? run.run : message.id;
      after.set(name, this.#answer(fields, message, name, after.get(name) ?? 0, facts));
    }
  }

  /** A model of texts answered. */
  texts(run, texts, facts) {
    const fields = { ...run.fields, ...messageFields(facts), messageId: run.run, durationMs: run.millis() };
    texts.forEach((text, at) => this.#assistant(text, { ...fields, key: `msg:${run.run}:${at + 1}` }));
  }

  /** What a request cost. A repeated message id does not tell the request from others. */
  used(run, name, { model = 'unknown', stopReason: _, ...facts }, isRepeated) {
    const fields = { ...run.fields, ...facts, ...(isRepeated ? { requestId: run.run } : {}) };
    this.#write((__, rest) => this.#agent.logUsage(name, model, rest), '', fields);
    if (model === 'unknown' || model === this.#model) return;
    this.#model = model;
    this.#agent.updateMetadata({ model });
  }

  /** Records the parts of an answer; returns the number of the next one. */
  #answer(fields, message, name, first, facts) {
    const { parts, blocks } = answerParts(message);
    const last = messageFields(facts);
    if (blocks.length > 0) last.blocks = blocks;
    const calls = callsOf(message);
    if (calls.length > 0) last.toolCalls = calls;
    const lastText = parts.findLast((part) => !part.isThinking);
    for (const part of parts) {
      const keyed = { ...fields, messageId: message.id ?? name, key: `msg:${name}:${first + part.index}` };
      if (part.isThinking) this.#write((text, rest) => this.#agent.logThinking(text, rest), 'text', { ...keyed, text: part.text });
      else this.#assistant(part.text, part === lastText ? { ...keyed, ...last } : keyed);
    }
    return first + Math.max(...parts.map((part) => part.index)) + 1;
  }

  /** A program answered a tool call itself, without a tool of LangChain. The answer stands for call and result. */
  #resultByHand(run, message, around) {
    const callId = String(message.tool_call_id ?? message.id);
    const call = around.flatMap(callsOf).find(({ id }) => id === callId) ?? { name: message.name ?? 'unknown', args: {} };
    this.#call(call.name, call.args, { ...run.fields, callId });
    const status = message.status === 'error' ? 'error' : 'ok';
    this.#result(call.name, callId, message.content, { ...run.fields, status });
  }

  #call(tool, input, fields) {
    this.#write((given, rest) => this.#agent.logToolCall(tool, given, rest), 'input', { ...fields, input });
  }

  #result(tool, callId, output, fields) {
    const write = (returned, rest) => this.#agent.logToolResult(tool, callId, returned, rest);
    this.#write(write, 'output', { ...fields, output });
  }

  #user(text, fields) {
    this.#write((said, rest) => this.#agent.logUserMessage(said, rest), 'text', { ...fields, text, source: 'sdk' });
  }

  #assistant(text, fields) {
    this.#write((said, rest) => this.#agent.logAssistantMessage(said, rest), 'text', { ...fields, text });
  }

  #act(record) {
    this.#write((_, rest) => this.#agent.logAction(rest), '', record);
  }

  #say(record) {
    this.#write((_, rest) => this.#agent.logResponse(rest), '', record);
  }

  /** Logs a record; the main one of its fields is an argument of its own. If it would be too large, its texts are cut. */
  #write(log, main, record) {
    const { [main]: value, ...fields } = { ...record, origin: ORIGIN };
    try {
      log(value, fields);
    } catch (error) {
      if (error.code !== 'event_too_large') throw error;
      this.#cut(log, main, record);
    }
  }

  #cut(log, main, record) {
    for (const longest of SHORT) {
      const truncated = {};
      const short = {};
      for (const [name, value] of Object.entries(record)) {
        short[name] = shortened(value, longest);
        if (bytesOf(short[name]) !== bytesOf(value)) truncated[name] = bytesOf(value);
      }
      const { [main]: value, ...fields } = { ...short, origin: ORIGIN, truncated };
      try {
        log(value, fields);
        return;
      } catch (error) {
        if (longest === SHORT.at(-1)) throw error;
      }
    }
  }
}

/** Returns the value with each long text cut. */
function shortened(value, longest) {
  if (typeof value === 'string') return value.length <= longest ? value : `${value.slice(0, longest)}…`;
  if (Array.isArray(value)) return value.map((item) => shortened(item, longest));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shortened(item, longest)]));
}

/** Returns the length of the texts of a value in UTF-8. */
function bytesOf(value) {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum, item) => sum + bytesOf(item), 0);
}

function messageFields({ model, stopReason }) {
  return { ...(model === undefined ? {} : { model }), ...(stopReason === undefined ? {} : { stopReason }) };
}

module.exports = { Writer };
