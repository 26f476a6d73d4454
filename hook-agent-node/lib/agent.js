'use strict';
// The public class: a method converts its arguments to JSON, passes them to the addon and returns a receipt.

const native = require('./native.js');
const replies = require('./reply_queue.js');
const { HookAgentError } = require('./error.js');
const { toJson } = require('./json.js');
const { Receipt } = require('./receipt.js');
const { settings } = require('./settings.js');
const { settleBeforeExit } = require('./exit.js');

/** What a call without the argument means, the same in every language. */
const DEFAULTS = { restore: { last: 50 }, flush: { timeoutMs: 5000 }, close: { timeoutMs: 5000 } };
const MOST = 2 ** 32 - 1;
/** The addon's index of each typed helper. */
const HELPERS = new Map(native.Agent.helpers().map((name, index) => [name, index]));
/**
 * Errors of the machine, not of the caller: they reject the receipt of an awaited call, and are never thrown.
 */
const DELIVERY_ERROR = new Set(['spool_full', 'spool_write_failed', 'thread_failed']);

/** Whether an agent's session is determined already: its first call determines it. */
let hasSession;
/** Closes an agent that nothing was written with. */
let letGo;

class HookAgent {
  #native;
  #closed = false;

  constructor(options = {}) {
    const vars = settings(options);
    this.#native = callNative(() => new native.Agent(vars));
    replies.enter();
    settleBeforeExit();
  }

  get sessionId() {
    return this.#native.sessionId;
  }

  get serviceUrl() {
    return this.#native.serviceUrl;
  }

  /** @param {{ userId?: string, parentSession?: string }} options */
  createSession(initial = {}, options = {}) {
    const { userId, parentSession } = options;
    const { json, coerced } = toJson(initial, 'create_session');
    return this.#write((agent) => agent.createSession(json, coerced, userId, parentSession));
  }

  logAction(action) {
    const { json, coerced } = toJson(action, 'action');
    return this.#write((agent) => agent.logAction(json, coerced));
  }

  logResponse(response) {
    const { json, coerced } = toJson(response, 'response');
    return this.#write((agent) => agent.logResponse(json, coerced));
  }

  logToolCall(tool, input, fields = {}) {
    return this.#typed('log_tool_call', { tool, input }, fields);
  }

  logToolResult(tool, callId, output, fields = {}) {
    return this.#typed('log_tool_result', { tool, callId, output }, fields);
  }

  logUserMessage(text, fields = {}) {
    return this.#typed('log_user_message', { text }, fields);
  }

  logAssistantMessage(text, fields = {}) {
    return this.#typed('log_assistant_message', { text }, fields);
  }

  logThinking(text, fields = {}) {
    return this.#typed('log_thinking', { text }, fields);
  }

  logUsage(messageId, model, fields = {}) {
    return this.#typed('log_usage', { messageId, model }, fields);
  }

  logFileChange(path, op, fields = {}) {
    return this.#typed('log_file_change', { path, op }, fields);
  }

  checkpoint(message, fields = {}) {
    return this.#typed('checkpoint', { message }, fields);
  }

  /** @param {{ ifVersion?: number }} options */
  updateState(patch, options = {}) {
    const { ifVersion } = options;
    const { json, coerced } = toJson(patch, 'state_update');
    if (ifVersion !== undefined) natural(ifVersion, 'ifVersion', Number.MAX_SAFE_INTEGER);
    return this.#write((agent) => agent.updateState(json, coerced, ifVersion));
  }

  addGoal(goal) {
    const { json, coerced } = toJson(goal, 'goal_add');
    return this.#write((agent) => agent.addGoal(json, coerced));
  }

  updateGoal(goalId, update) {
    const id = identifier(goalId, 'goalId');
    const { json, coerced } = toJson(update, 'goal_update');
    return this.#write((agent) => agent.updateGoal(id, json, coerced));
  }

  spawnAgent(spawned) {
    const { json, coerced } = toJson(spawned, 'agent_spawn');
    return this.#write((agent) => agent.spawnAgent(json, coerced));
  }

  completeAgent(agentId) {
    const id = identifier(agentId, 'agentId');
    return this.#write((agent) => agent.completeAgent(id));
  }

  updateMetadata(changes) {
    const { json, coerced } = toJson(changes, 'metadata_update');
    return this.#write((agent) => agent.updateMetadata(json, coerced));
  }

  finalizeSession(end = {}) {
    const { json, coerced } = toJson(end, 'finalize');
    return this.#write((agent) => agent.finalizeSession(json, coerced));
  }

  reopenSession() {
    return this.#write((agent) => agent.reopenSession());
  }

  getState() {
    return this.#ask((agent, id) => agent.getState(replies.open(), id));
  }

  restore(last = DEFAULTS.restore.last) {
    natural(last, 'last', MOST);
    return this.#ask((agent, id) => agent.restore(last, replies.open(), id));
  }

  testConnection() {
    return this.#ask((agent, id) => agent.testConnection(replies.open(), id));
  }

  flush(timeoutMs = DEFAULTS.flush.timeoutMs) {
    const millis = Math.ceil(duration(timeoutMs));
    return this.#ask((agent, id) => agent.flush(millis, replies.open(), id));
  }

  stats() {
    return JSON.parse(callNative(() => this.#native.stats()));
  }

  close(timeoutMs = DEFAULTS.close.timeoutMs) {
    if (this.#closed) return Promise.resolve(true);
    const flushed = this.flush(timeoutMs);
    this.#closed = true;
    replies.leave();
    return flushed;
  }

  [Symbol.asyncDispose]() {
    return this.close().then(() => {});
  }

  static {
    hasSession = (agent) => agent.#native.hasSession;
    letGo = (agent) => {
      if (!agent.#closed) replies.leave();
      agent.#closed = true;
    };
  }

  /** Records by a typed helper: the parts of the record, and its other fields. */
  #typed(helper, parts, fields) {
    const main = toJson(parts, helper);
    const more = toJson(fields ?? {}, helper);
    // No JSON text has a line break of its own.
    const lines = `${main.json}\n${more.json}`;
    return this.#write((agent) => agent.logTyped(HELPERS.get(helper), lines, main.coerced + more.coerced));
  }

  #write(send) {
    this.#open();
    const agent = this.#native;
    try {
      const record = send(agent);
      return new Receipt((id) => agent.answer(record, replies.open(), id));
    } catch (error) {
      const known = typed(error);
      if (DELIVERY_ERROR.has(known.code)) return Receipt.failed(known);
      throw known;
    }
  }

  #ask(question) {
    this.#open();
    const agent = this.#native;
    return Receipt.begun((id) => callNative(() => question(agent, id)));
  }

  #open() {
    if (this.#closed) throw new HookAgentError('agent_closed', 'the agent is closed: create another one');
  }
}

/** Runs a call of the addon and converts its errors. */
function callNative(call) {
  try {
    return call();
  } catch (error) {
    throw typed(error);
  }
}

function typed(error) {
  return new HookAgentError(error.code, error.message);
}

function identifier(value, name) {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw invalid(name, value, 'a string');
}

function natural(value, name, most) {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw invalid(name, value, 'a whole number');
}

function duration(value) {
  if (typeof value === 'number' && value >= 0) return Math.min(value, MOST);
  throw invalid('timeoutMs', value, 'a number of milliseconds');
}

function invalid(name, value, wanted) {
  return new HookAgentError('invalid_argument', `\`${name}\` is to be ${wanted}, not ${typeof value} ${String(value)}`);
}

module.exports = { DEFAULTS, HookAgent, hasSession, letGo };
