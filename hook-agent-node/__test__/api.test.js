'use strict';
// The names and defaults that all languages share.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const api = require('hook-agent');
const { DEFAULTS } = require('../lib/agent.js');

const fixture = path.join(__dirname, '../../crates/session-model/tests/fixtures/client_api.json');
const { class: name, methods } = JSON.parse(readFileSync(fixture, 'utf8'));

const camel = (snake) => snake.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

test('the class and the default agent have the shared methods and no others', () => {
  const shared = methods.map((method) => camel(method.name)).sort();
  const face = Object.getOwnPropertyDescriptors(api[name].prototype);
  const own = Object.keys(face).filter((key) => key !== 'constructor' && typeof face[key].value === 'function');
  assert.deepEqual(own.sort(), shared);
  const others = new Set([name, 'HookAgentError', 'default']);
  assert.deepEqual(Object.keys(api).filter((key) => !others.has(key)).sort(), shared);
});

test('a call without the argument has the shared default', () => {
  const shared = methods.filter((method) => method.defaults !== undefined).map((method) => {
    const defaults = Object.entries(method.defaults).map(([argument, value]) => [camel(argument), value]);
    return [camel(method.name), Object.fromEntries(defaults)];
  });
  assert.deepEqual(DEFAULTS, Object.fromEntries(shared));
});
