'use strict';
// Long values of records: stored as blobs, and whole again.

const assert = require('node:assert/strict');
const test = require('node:test');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, agentFor, SESSION } = require('./support/setup.js');

const image = (bytes) => Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(bytes, 0xc8)]);

async function blob(service, { $blob }) {
  return service.bytes(`/api/sessions/${SESSION}/blobs/${$blob.slice('sha256:'.length)}`);
}

test('a text of a megabyte and images are stored as blobs', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url);
  const text = 'a line of the output\n'.repeat(50_000);
  const png = image(300_000);
  const url = `data:image/png;base64,${png.toString('base64')}`;
  agent.logAction({ type: 'tool_result', n: 0, output: text, image_url: { url }, raw: png });
  assert.equal(await agent.flush(DEADLINE_MS), true);
  const [action] = await service.actions(SESSION);
  assert.deepEqual(action.truncated, { output: text.length });
  assert.ok(action.output.startsWith('a line') && action.output.length < 65_536);
  assert.equal((await blob(service, action.blobs.output)).toString(), text);
  assert.equal(action.image_url.url.mediaType, 'image/png');
  assert.equal(action.image_url.url.prefix, 'data:image/png;base64,');
  assert.ok((await blob(service, action.image_url.url)).equals(png));
  assert.equal(action.raw.$blob, action.image_url.url.$blob);
  assert.equal(agent.stats().blobs, 3);
  assert.equal(agent.stats().shortened, 0);
});

test('a record with an image of eleven megabytes is taken', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url);
  const png = image(11 * 1024 * 1024);
  agent.logAction({ type: 'tool_result', output: [{ type: 'image', data: png, mimeType: 'image/png' }] });
  assert.equal(await agent.flush(DEADLINE_MS), true);
  const [action] = await service.actions(SESSION);
  assert.ok((await blob(service, action.output[0].data)).equals(png));
});

test('the threshold is an option, and so is doing without blobs', async (t) => {
  const service = await Service.start(t);
  const text = 'x'.repeat(100_000);
  for (const [session, options] of [
    ['off', { blobs: 'off' }],
    ['more', { blobThreshold: 100_000 }],
    ['less', { blobThreshold: 99_999 }],
  ]) {
    const agent = agentFor(t, service.url, { sessionId: session, ...options });
    agent.logAction({ text });
    assert.equal(await agent.flush(DEADLINE_MS), true);
    const [action] = await service.actions(session);
    assert.equal(action.text === text, session !== 'less', session);
  }
});
