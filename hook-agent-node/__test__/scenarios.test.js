'use strict';
// The scenarios shared by all languages: one call, its request, the service's answer, the call's result.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { agentFor } = require('./support/setup.js');

const fixture = path.join(__dirname, '../../crates/session-model/tests/fixtures/hook_scenarios.json');
const { session, scenarios } = JSON.parse(readFileSync(fixture, 'utf8'));

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function call(agent, { call: name, args }) {
  if (name === 'update_state_if') return agent.updateState(args[1], { ifVersion: args[0] });
  return agent[camel(name)](...args);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Replaces a time by `"$timestamp"` where that is expected; it matches any RFC 3339 time. */
function masked(sent, expected) {
  if (expected === '$timestamp' && TIME.test(sent)) return expected;
  if (sent === null || typeof sent !== 'object' || Array.isArray(sent)) return sent;
  return Object.fromEntries(Object.entries(sent).map(([key, value]) => [key, masked(value, expected?.[key])]));
}

for (const scenario of scenarios) {
  test(scenario.name, async (t) => {
    const service = await FaultService.start(t);
    service.scripted.push(...(scenario.answers ?? []));
    const agent = agentFor(t, service.url, { sessionId: session });
    const settled = async () => call(agent, scenario);
    if (scenario.error === undefined) assert.deepEqual(await settled(), scenario.result);
    else await assert.rejects(settled, { name: 'HookAgentError', code: scenario.error });
    const expected = scenario.requests ?? [];
    // Queued records are sent again after a short time.
    const again = scenario.result?.queued ? service.requests.slice(expected.length) : [];
    for (const { body } of again) assert.equal(body, service.requests[expected.length - 1].body);
    assert.equal(service.requests.length - again.length, expected.length);
    for (const [index, { method, path: where, content_type: type, lines = [] }] of expected.entries()) {
      const request = service.requests[index];
      assert.deepEqual([request.method, request.path], [method, where]);
      assert.equal(request.headers['content-type'], type);
      if (method === 'PUT') continue;
      const sent = request.body.split('\n').filter(Boolean).map((line) => JSON.parse(line));
      assert.deepEqual(sent.map((line, n) => masked(line, lines[n] ?? {})), lines);
    }
  });
}
