'use strict';
// The event loop, and the end of the program.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { ended, run, start } = require('./support/program.js');
const { directory, range, until, SESSION } = require('./support/setup.js');

const CALL = (count) => `
  const { logAction } = require('hook-agent');
  for (let n = 0; n < ${count}; n += 1) logAction({ n });
`;

test('a program that only calls ends by itself, and what it called has arrived', async (t) => {
  await until(async () => {
    const service = await FaultService.start(t);
    const done = await run(CALL(500), { url: service.url, spool: directory(t) });
    assert.deepEqual([done.code, done.stdout, done.stderr], [0, '', '']);
    const found = service.numbers(SESSION);
    assert.deepEqual(found, range(0, found.length));
    return found.length === 500;
  }, 'all had arrived at the end');
});

test('an awaited call keeps the program alive until it is answered', async (t) => {
  const service = await FaultService.start(t);
  service.faults.push({ kind: 'late', ms: 300 });
  const source = `
    import { logAction } from 'hook-agent';
    const { seq } = await logAction({ n: 0 });
    console.log(seq);
  `;
  const done = await run(source, { url: service.url, spool: directory(t), module: true });
  assert.deepEqual([done.code, done.stdout], [0, '1\n']);
});

test('a service that is away holds the end of a program up for no noticeable time', async (t) => {
  const service = await FaultService.start(t);
  await service.down();
  const spool = directory(t);
  let runs = 0;
  await until(async () => {
    const alone = await run(CALL(0), { url: service.url, spool });
    const done = await run(CALL(10), { url: service.url, spool });
    assert.equal(done.code, 0);
    runs += 1;
    return done.millis < alone.millis + 1000;
  }, 'the end takes less than a second');
  await service.up();
  await until(async () => {
    await run("require('hook-agent').flush(20000).then(console.log)", { url: service.url, spool });
    return service.numbers(SESSION).length === 10 * runs;
  }, 'the next process has delivered');
  assert.deepEqual(service.numbers(SESSION), range(0, 10 * runs).map((n) => n % 10));
});

test('a service that hangs holds the end of a program up for two seconds at most', async (t) => {
  const service = await FaultService.start(t);
  service.always = { kind: 'hang' };
  await until(async () => {
    const done = await run(CALL(10), { url: service.url, spool: directory(t) });
    assert.equal(done.code, 0);
    assert.ok(done.millis >= 1900, `${done.millis} ms`);
    const alone = await run(CALL(0), { url: service.url, spool: directory(t) });
    return done.millis < alone.millis + 4000;
  }, 'the end takes less than four seconds');
});

test('a program that waits for nothing else is not kept alive by what hangs', async (t) => {
  const service = await FaultService.start(t);
  service.always = { kind: 'hang' };
  const source = `${CALL(1)} require('hook-agent').testConnection(); require('hook-agent').flush(20000);`;
  await until(async () => {
    const done = await run(source, { url: service.url, spool: directory(t) });
    assert.equal(done.code, 0);
    const alone = await run(CALL(0), { url: service.url, spool: directory(t) });
    return done.millis < alone.millis + 4000;
  }, 'the end takes less than four seconds');
});

test('process.exit right after the calls loses nothing', async (t) => {
  const service = await FaultService.start(t);
  const spool = directory(t);
  const done = await run(`${CALL(300)} process.exit(3);`, { url: service.url, spool });
  assert.deepEqual([done.code, done.stdout, done.stderr], [3, '', '']);
  await run(`${CALL(0)} logAction({ n: 300 });`, { url: service.url, spool });
  await until(async () => {
    await run("require('hook-agent').flush(20000)", { url: service.url, spool });
    return service.numbers(SESSION).length === 301;
  }, 'all is delivered');
  assert.deepEqual(service.numbers(SESSION).sort((a, b) => a - b), range(0, 301));
});

test('an exception that ends the program loses nothing', async (t) => {
  const service = await FaultService.start(t);
  const spool = directory(t);
  const done = await run(`${CALL(50)} throw new Error('as a test');`, { url: service.url, spool });
  assert.equal(done.code, 1);
  await until(async () => {
    await run("require('hook-agent').flush(20000).then(() => {})", { url: service.url, spool });
    return service.numbers(SESSION).length === 50;
  }, 'all is delivered');
  assert.deepEqual(service.numbers(SESSION), range(0, 50));
});

test('twenty programs killed right after their calls lose and double nothing', async (t) => {
  const service = await FaultService.start(t);
  const spool = directory(t);
  let next = 0;
  for (let round = 0; round < 20; round += 1) {
    const count = [1, 3, 40, 700, 2500][round % 5];
    // Some batches are stored but their answer is lost, so that the next owner of the spool must repeat them.
    if (round % 3 === 0) service.faults.push({ kind: 'closeStored' }, { kind: 'halfAnswer' });
    const source = `
      const { logAction } = require('hook-agent');
      for (let n = ${next}; n < ${next + count}; n += 1) logAction({ n });
      process.kill(process.pid, 'SIGKILL');
    `;
    assert.equal((await run(source, { url: service.url, spool })).signal, 'SIGKILL');
    next += count;
  }
  await until(async () => {
    await run("require('hook-agent').flush(20000).then(() => {})", { url: service.url, spool });
    return service.numbers(SESSION).length === next;
  }, 'all is delivered');
  assert.deepEqual(service.numbers(SESSION).sort((a, b) => a - b), range(0, next));
});

test('the loop goes on turning while calls are made against a service that hangs', async (t) => {
  const service = await FaultService.start(t);
  service.always = { kind: 'hang' };
  const source = `
    const { monitorEventLoopDelay } = require('node:perf_hooks');
    const { logAction } = require('hook-agent');
    logAction({ n: 0 });
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    let n = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 20; i += 1) logAction({ n: n += 1 });
      if (n < 2000) return;
      clearInterval(timer);
      console.log(delay.percentile(90) / 1e6);
      process.exit();
    }, 2);
  `;
  await until(async () => {
    const done = await run(source, { url: service.url, spool: directory(t) });
    assert.match(done.stdout, /^[\d.]+\n$/);
    assert.equal(done.stderr, '');
    return Number(done.stdout) < 100;
  }, 'nine in ten turns of the loop take less than 100 ms');
});

test('agents that are collected as garbage have delivered their records', async (t) => {
  const service = await FaultService.start(t);
  service.faults.push({ kind: 'late', ms: 300 });
  const source = `
    require('node:v8').setFlagsFromString('--expose-gc');
    const collect = require('node:vm').runInNewContext('gc');
    const { HookAgent } = require('hook-agent');
    const call = (n) => void new HookAgent().logAction({ n });
    call(0);
    setImmediate(() => { for (let n = 1; n < 100; n += 1) call(n); setInterval(collect, 5); });
    process.stdin.on('end', () => process.exit()).resume();
  `;
  const child = start(source, { url: service.url, spool: directory(t) });
  const ending = ended(child);
  await until(() => service.numbers(SESSION).length === 100, 'all have delivered');
  child.stdin.end();
  const done = await ending;
  assert.deepEqual([done.code, done.stderr], [0, '']);
  assert.deepEqual(service.numbers(SESSION), range(0, 100));
});

const FAMILIES = { 'fork.js': ['parent', 'a', 'b'], 'cluster.js': ['primary', 'worker-1', 'worker-2'] };
for (const [program, members] of Object.entries(FAMILIES)) {
  test(`the processes of ${program} each deliver their own`, async (t) => {
    const service = await FaultService.start(t);
    const done = await run(program, { url: service.url, spool: directory(t) });
    assert.deepEqual([done.code, done.stderr], [0, '']);
    for (const who of members) assert.deepEqual(service.numbers(who), range(0, 100), who);
  });
}

test('a program is ended by SIGTERM as ever', async (t) => {
  const service = await FaultService.start(t);
  const child = start(`${CALL(5)} setInterval(() => {}, 1000); process.stdout.write('up');`, {
    url: service.url,
    spool: directory(t),
  });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  assert.equal((await ended(child)).signal, 'SIGTERM');
});
