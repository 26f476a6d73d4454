'use strict';
// The public class: a method converts its arguments to JSON, passes them to the addon and returns a receipt.

const native = require('./native.js');
const inbox = require('./inbox.js');
const { HookAgentError } = require('./error.js');
const { toJson } = require('./json.js');
const { Receipt } = require('./receipt.js');
const { settings } = require('./settings.js');
const { settleBeforeExit } = require('./exit.js');

const FLUSH_MS = 5000;
const MOST = 2 ** 32 - 1;
/**
 * Errors of the machine, not of the caller: they reject the receipt of an awaited call, and are never thrown.
 */
const TROUBLE = new Set(['spool_full', 'spool_write_failed', 'thread_failed']);

/** Whether an agent's session is determined already: its first call determines it. */
let hasSession;
/** Closes an agent that nothing was written with. */
let letGo;

class HookAgent {
  #native;
  #closed = false;

  constructor(options = {}) {
    const vars = settings(options);
    this.#native = told(() => new native.Agent(vars));
    inbox.enter();
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
    return this.#ask((agent, id) => agent.getState(inbox.open(), id));
  }

  restore(last = 50) {
    natural(last, 'last', MOST);
    return this.#ask((agent, id) => agent.restore(last, inbox.open(), id));
  }

  testConnection() {
    return this.#ask((agent, id) => agent.testConnection(inbox.open(), id));
  }

  flush(timeoutMs = FLUSH_MS) {
    const millis = Math.ceil(duration(timeoutMs));
    return this.#ask((agent, id) => agent.flush(millis, inbox.open(), id));
  }

  stats() {
    return JSON.parse(told(() => this.#native.stats()));
  }

  close(timeoutMs = FLUSH_MS) {
    if (this.#closed) return Promise.resolve(true);
    const flushed = this.flush(timeoutMs);
    this.#closed = true;
    inbox.leave();
    return flushed;
  }

  [Symbol.asyncDispose]() {
    return this.close().then(() => {});
  }

  static {
    hasSession = (agent) => agent.#native.hasSession;
    letGo = (agent) => {
      if (!agent.#closed) inbox.leave();
      agent.#closed = true;
    };
  }

  #write(send) {
    this.#open();
    const agent = this.#native;
    try {
      const record = send(agent);
      return new Receipt((id) => agent.answer(record, inbox.open(), id));
    } catch (error) {
      const known = typed(error);
      if (TROUBLE.has(known.code)) return Receipt.failed(known);
      throw known;
    }
  }

  #ask(question) {
    this.#open();
    const agent = this.#native;
    return Receipt.begun((id) => told(() => question(agent, id)));
  }

  #open() {
    if (this.#closed) throw new HookAgentError('agent_closed', 'the agent is closed');
  }
}

/** Runs a call of the addon and converts its errors. */
function told(call) {
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

module.exports = { HookAgent, hasSession, letGo };
