'use strict';
// An event may contain any value of the host program. A call throws only if an event is too large.

const assert = require('node:assert/strict');
const test = require('node:test');
const vm = require('node:vm');
const { FaultService } = require('./support/fault_service.js');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, agentFor, SESSION } = require('./support/setup.js');

/** The data that the service receives for this state, and the number of values counted as coerced. */
async function recorded(t, value) {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  await agent.updateState(value);
  return { data: service.sessions.get(SESSION).lines[0].data, coerced: agent.stats().coerced };
}

const circular = { type: 'tool_call' };
circular.self = [circular];
const throwing = {
  get broken() {
    throw new Error('no');
  },
  whole: 1,
};
const broken = new Proxy({}, {
  get() {
    throw new Error('no');
  },
  getPrototypeOf() {
    throw new Error('no');
  },
  ownKeys() {
    throw new Error('no');
  },
});

const FORMS = {
  'NaN and the infinities': [{ a: [NaN, Infinity], b: -Infinity, c: Object(NaN) }, { a: ['NaN', 'Infinity'], b: '-Infinity', c: 'NaN' }, 4],
  'lone surrogates': [{ path: 'caf\udce9', '\ud800': 1, pair: '😀', escaped: '\\udce9' }, { path: 'caf\ufffd', '\ufffd': 1, pair: '😀', escaped: '\\udce9' }, 2],
  'a Map of texts': [{ map: new Map([['a', 1], ['b', new Map()]]) }, { map: { a: 1, b: {} } }, 2],
  'a Map of other keys': [{ map: new Map([[1, 'a'], [{ k: 1 }, 'b']]) }, { map: [[1, 'a'], [{ k: 1 }, 'b']] }, 1],
  'a Set': [{ set: new Set([1, 'a', new Set()]) }, { set: [1, 'a', []] }, 2],
  'a Date': [{ date: new Date(0), none: new Date(NaN) }, { date: '1970-01-01T00:00:00.000Z', none: 'Invalid Date' }, 2],
  'bytes that are text': [{ bytes: Buffer.from('hé'), array: new Uint8Array([65]) }, { bytes: 'hé', array: 'A' }, 2],
  'bytes that are no text': [{ bytes: Buffer.from([255, 254]), buffer: new Uint8Array([255]).buffer }, { bytes: 'base64://4=', buffer: 'base64:/w==' }, 2],
  'typed arrays': [{ floats: new Float64Array([1.5, 2]), none: new Int8Array() }, { floats: [1.5, 2], none: [] }, 2],
  'functions and symbols': [{ f: function named() {}, s: Symbol('s') }, { f: '[Function: named]', s: 'Symbol(s)' }, 2],
  undefined: [{ a: undefined, list: [1, undefined] }, { list: [1, null] }, 2],
  'a regular expression': [{ re: /a+/g }, { re: '/a+/g' }, 1],
  'a promise': [{ promise: Promise.resolve(1) }, { promise: 'Promise { 1 }' }, 1],
  'what contains itself': [circular, { type: 'tool_call', self: ['[circular]'] }, 1],
  'the same twice': [{ a: [throwing.whole, {}], b: {} }, { a: [1, {}], b: {} }, 0],
  'a getter that throws': [{ deep: throwing }, { deep: { broken: '[unreadable]', whole: 1 } }, 1],
  'a toJSON that throws': [{ a: Object.assign(Object.create({ toJSON() { throw new Error('no'); } }), { b: 1 }) }, { a: { b: 1 } }, 1],
  'a toJSON of its own': [{ url: new URL('http://a/b'), left: { toJSON() {} } }, { url: 'http://a/b' }, 1],
  'a proxy that throws': [{ a: broken, b: 1 }, { a: '[unreadable]', b: 1 }, 1],
  'an object of another realm': [{ a: vm.runInNewContext('({ b: [1], c: new Map([["d", 2]]) })') }, { a: { b: [1], c: { d: 2 } } }, 1],
};
for (const [what, [value, form, coerced]] of Object.entries(FORMS)) {
  test(`it is recorded in its usual form, and counted: ${what}`, async (t) => {
    assert.deepEqual(await recorded(t, value), { data: form, coerced });
  });
}

for (const value of [undefined, null, 'text', 3, [{}, 1], true]) {
  test(`what is no object becomes the value of one: ${JSON.stringify(value)}`, async (t) => {
    const { data, coerced } = await recorded(t, value);
    assert.deepEqual(data, { value: value ?? null });
    assert.ok(coerced >= 1);
  });
}

test('an error is recorded with its name, message, stack, code and cause', async (t) => {
  const cause = Object.assign(new RangeError('deeper'), { code: 'E_DEEP' });
  const error = new TypeError('no such file', { cause });
  const { data, coerced } = await recorded(t, { error });
  assert.deepEqual(data.error, {
    name: 'TypeError',
    message: 'no such file',
    stack: error.stack,
    cause: { name: 'RangeError', message: 'deeper', stack: cause.stack, code: 'E_DEEP' },
  });
  assert.equal(coerced, 2);
});

test('errors whose members throw, and errors of errors, are recorded', async (t) => {
  const hostile = new Error('kept');
  Object.defineProperty(hostile, 'stack', { get: () => assert.fail('no') });
  const { data } = await recorded(t, { hostile, all: new AggregateError([new Error('one')], 'many') });
  assert.equal(data.hostile.message, 'kept');
  assert.equal(data.hostile.stack, '[unreadable]');
  assert.equal(data.all.errors[0].message, 'one');
});

test('a BigInt is recorded with all its digits', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  await agent.updateState({ tokens: 2n ** 100n });
  assert.ok(service.requests[0].body.includes('"tokens":1267650600228229401496703205376'));
  assert.equal(agent.stats().coerced, 1);
});

test('what is nested too deep is cut where the service ends', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url);
  const deep = {};
  for (let level = deep, n = 0; n < 200_000; n += 1) level = level.next = {};
  assert.equal((await agent.logAction(deep)).seq, 1);
  const [stored] = await service.actions(SESSION);
  let levels = 0;
  for (let level = stored; typeof level === 'object'; level = level.next) levels += 1;
  assert.equal(levels, 120);
});

test('the service takes every form', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url);
  for (const [value] of Object.values(FORMS)) {
    assert.equal((await agent.logAction(value)).success, true);
    assert.equal((await agent.updateState(value)).success, true);
  }
  assert.equal((await service.actions(SESSION)).length, Object.keys(FORMS).length);
  assert.equal(agent.stats().rejected, 0);
});

test('what JSON.stringify says is recorded as it says it, and nothing is counted', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const shared = { x: 1 };
  const values = [
    { none: null, nested: [null, { a: [[]] }], twice: [shared, shared], zero: -0, small: 1e-7 },
    { text: '\u2028 "\\" \n \0 é 中 😀', null: 'null', 'NaN': 'NaN' },
    Object.assign(Object.create(null), { bare: true, null: null }),
    new (class Held { held = [1]; get left() { return 2; } })(),
  ];
  for (const value of values) agent.updateState(value);
  assert.equal(await agent.flush(DEADLINE_MS), true);
  const stored = service.sessions.get(SESSION).lines.map((line) => line.data);
  assert.deepEqual(stored, values.map((value) => JSON.parse(JSON.stringify(value))));
  assert.equal(agent.stats().coerced, 0);
});
