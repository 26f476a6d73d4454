'use strict';
// Receives answers: one reply queue per JavaScript environment (the main thread or a worker).
//
// The queue keeps the event loop alive only while a caller awaits an answer. When the last agent is closed
// and all answers have arrived, it releases its handles; a later request opens it again.

const { clearInterval, setInterval } = require('node:timers');
const native = require('./native.js');
const { HookAgentError } = require('./error.js');

const LONGEST = 2 ** 31 - 1;
const waiting = new Map();
let queue;
let latest = 0;
let agents = 0;
let holders = 0;
let alive;

function open() {
  queue ??= new native.ReplyQueue(deliver);
  return queue;
}

/** Counts an agent that may make requests. */
function enter() {
  agents += 1;
}

/** Removes a closed agent from the count. */
function leave() {
  agents -= 1;
  shutIfIdle();
}

function shutIfIdle() {
  if (agents > 0 || waiting.size > 0) return;
  queue?.close();
  clearInterval(alive);
  queue = alive = undefined;
}

/** Returns an id for a request; `settle` is called once with `(error, answer)`. */
function expect(settle) {
  latest += 1;
  waiting.set(latest, settle);
  return latest;
}

/** Removes the id of a request that was never made. */
function forget(id) {
  waiting.delete(id);
  shutIfIdle();
}

function deliver(settled) {
  for (const { id, code, text } of settled) {
    const settle = waiting.get(id);
    waiting.delete(id);
    if (code === undefined) settle(undefined, JSON.parse(text));
    else settle(new HookAgentError(code, text));
  }
  shutIfIdle();
}

/** Keeps the event loop alive until `release` is called. */
function hold() {
  holders += 1;
  if (holders > 1) return;
  alive ??= setInterval(() => {}, LONGEST);
  alive.ref();
}

function release() {
  holders -= 1;
  if (holders === 0) alive.unref();
}

module.exports = { open, enter, leave, expect, forget, hold, release };
