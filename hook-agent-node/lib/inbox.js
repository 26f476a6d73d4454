'use strict';
// Where answers come in: one inbox for this environment (the main thread's or a worker's).
//
// It does not keep the event loop alive, except while someone awaits an answer. When the last agent is closed and every
// answer is in, it gives its handles back; a later request opens it again.

const { clearInterval, setInterval } = require('node:timers');
const native = require('./native.js');
const { HookAgentError } = require('./error.js');

const LONGEST = 2 ** 31 - 1;
const waiting = new Map();
let inbox;
let latest = 0;
let agents = 0;
let holders = 0;
let alive;

function open() {
  inbox ??= new native.Inbox(deliver);
  return inbox;
}

/** An agent is there that may ask. */
function enter() {
  agents += 1;
}

/** It is closed. */
function leave() {
  agents -= 1;
  shutIfIdle();
}

function shutIfIdle() {
  if (agents > 0 || waiting.size > 0) return;
  inbox?.close();
  clearInterval(alive);
  inbox = alive = undefined;
}

/** An id for a request; `settle` gets `(error, answer)` once. */
function expect(settle) {
  latest += 1;
  waiting.set(latest, settle);
  return latest;
}

/** The request of this id was never made. */
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

/** From now on, until `release`, the event loop stays alive. */
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
