import { describe, expect, it } from 'vitest';
import { adviceFor, adviceForStatus } from '../../src/connection/advice';
import { wait } from '../../src/connection/backoff';
import { Connection } from '../../src/connection/connection';
import { seconds, standing } from '../../src/connection/status';
import { ApiError } from '../../src/api/error';
import { event, Heard, settled, World } from './fake_socket';
import { frames } from './fixtures';

async function connected(from: { epoch: string; offset: number } | null = null) {
  const [world, heard] = [new World(), new Heard()];
  const url = (since: string | null): string => `ws://x/ws${since === null ? '' : `?since=${since}`}`;
  const connection = new Connection((since) => world.admit(url(since)), heard, world);
  connection.start(from);
  await settled();
  return { world, heard, connection };
}

describe('a connection', () => {
  it('passes on every event of the fixtures once, in order', async () => {
    const { world, heard } = await connected();
    world.socket.greet('e1', 99);
    for (const frame of frames) world.socket.say(frame);
    for (const frame of frames) world.socket.say(frame);
    expect(heard.offsets).toEqual(frames.map((frame) => (JSON.parse(frame) as { offset: number }).offset));
  });

  it('resumes after a cut from the last event that it passed on', async () => {
    const { world, heard, connection } = await connected({ epoch: '', offset: 4 });
    expect(world.socket.url).toBe('ws://x/ws?since=4');
    world.socket.greet('e1', 4);
    for (const offset of [5, 6, 7]) world.socket.say(event(offset));
    world.socket.cut();
    expect(connection.status.kind).toBe('waiting');
    await world.pass(1000);
    expect(world.socket.url).toBe('ws://x/ws?since=e1-7');
    world.socket.greet('e1', 7);
    for (const offset of [7, 8, 9]) world.socket.say(event(offset));
    expect(heard.offsets).toEqual([5, 6, 7, 8, 9]);
    expect(heard.gaps).toEqual([]);
  });

  it('reports a gap and continues after it, even when the numbers start again', async () => {
    const { world, heard, connection } = await connected({ epoch: 'old', offset: 900 });
    world.socket.greet('new', 10);
    world.socket.say({ type: 'gap', from: 900, to: 10 });
    world.socket.say(event(11));
    expect(heard.gaps).toEqual([{ from: 900, to: 10 }]);
    expect(heard.offsets).toEqual([11]);
    expect(connection.position).toEqual({ epoch: 'new', offset: 11 });
  });

  it('waits longer each time, and not when asked', async () => {
    const { world, connection } = await connected();
    for (const expected of [500, 1000, 2000, 4000, 8000, 10_000, 10_000]) {
      const before = world.sockets.length;
      world.socket.cut();
      expect(connection.status.retryAt - world.time).toBe(expected);
      await world.pass(expected - 1);
      expect(world.sockets.length).toBe(before);
      await world.pass(1);
      expect(world.sockets.length).toBe(before + 1);
    }
    world.socket.cut();
    const before = world.sockets.length;
    connection.retryNow();
    await settled();
    expect(world.sockets.length).toBe(before + 1);
  });

  it('counts the time without contact from the cut, over all attempts', async () => {
    const { world, connection } = await connected();
    world.socket.greet('e', 0);
    const cutAt = world.time;
    world.socket.cut();
    await world.pass(500);
    world.socket.cut();
    expect(connection.status.since).toBe(cutAt);
    expect(standing(connection.status, cutAt + 3000)).toBe('reconnecting');
    expect(standing(connection.status, cutAt + 10_000)).toBe('stale');
    await world.pass(1000);
    world.socket.greet('e', 0);
    expect(standing(connection.status, world.time)).toBe('connected');
  });

  it('gives up an attempt that is never greeted', async () => {
    const { world } = await connected();
    await world.pass(10_000);
    expect(world.sockets[0]?.closed).toBe(true);
    await world.pass(1000);
    expect(world.sockets.length).toBe(2);
  });

  it('asks the service after a silence, and connects again when it is not healthy', async () => {
    const { world, connection } = await connected();
    world.socket.greet('e', 3);
    await world.pass(16_000);
    expect([world.probes, world.sockets.length]).toEqual([1, 1]);
    world.well = false;
    await world.pass(16_000);
    expect(connection.status.kind).not.toBe('connected');
    await world.pass(1000);
    expect(world.socket.url).toContain('since=e-3');
  });

  it('is not asked about while events come', async () => {
    const { world } = await connected();
    world.socket.greet('e', 0);
    for (let offset = 1; offset <= 10; offset += 1) {
      world.socket.say(event(offset));
      await world.pass(5000);
    }
    expect(world.probes).toBe(0);
  });

  it('does as the close code says', async () => {
    const { world, heard, connection } = await connected();
    world.socket.greet('e', 0);
    world.socket.cut(4409);
    expect([heard.resyncs, connection.status.kind]).toEqual([1, 'ended']);
    await world.pass(60_000);
    expect(world.sockets.length).toBe(1);
    expect([1001, 1006, 1013, 4408].map(adviceFor)).toEqual(Array(4).fill('reconnect'));
    expect([1002, 1009].map(adviceFor)).toEqual(['terminal', 'terminal']);
  });

  it('stops when its key has ended, reports it once, and starts again on request', async () => {
    const { world, heard, connection } = await connected();
    world.socket.greet('e', 7);
    world.socket.cut(4401);
    expect([heard.locks, connection.status.kind, standing(connection.status, world.time)]).toEqual([
      1,
      'locked',
      'locked',
    ]);
    await world.pass(600_000);
    expect([heard.locks, world.sockets.length, world.probes]).toEqual([1, 1, 0]);
    connection.retryNow();
    connection.start(connection.position);
    await settled();
    expect(world.socket.url).toBe('ws://x/ws?since=e-7');
  });

  it('opens no socket while it is refused, and asks again only where that may help', async () => {
    const expected = {
      0: 'waiting',
      200: 'ended',
      401: 'locked',
      403: 'forbidden',
      413: 'ended',
      421: 'ended',
      429: 'waiting',
      503: 'waiting',
    };
    for (const [status, kind] of Object.entries(expected)) {
      const { world, heard, connection } = await connected();
      world.refusal = new ApiError('x', 'no', Number(status));
      world.socket.cut();
      await world.pass(500);
      expect([status, connection.status.kind, heard.locks]).toEqual([status, kind, status === '401' ? 1 : 0]);
      expect([status, connection.status.reason]).toEqual([status, 'no']);
      const asked = world.asked;
      await world.pass(30_000);
      expect([status, world.sockets.length, world.asked > asked]).toEqual([status, 1, kind === 'waiting']);
      expect(adviceForStatus(Number(status)) === 'reconnect').toBe(kind === 'waiting');
    }
  });

  it('waits as long as it is asked to', async () => {
    const { world, connection } = await connected();
    world.refusal = new ApiError('rate_limited', 'slower', 429, 25_000);
    world.socket.cut();
    await world.pass(500);
    expect(connection.status.retryAt - world.time).toBe(25_000);
    world.refusal = null;
    await world.pass(24_999);
    expect(world.sockets.length).toBe(1);
    await world.pass(1);
    expect(world.sockets.length).toBe(2);
    world.socket.greet('e', 0);
    expect(connection.status.reason).toBe('');
  });

  it('hears nothing of a socket it has left', async () => {
    const { world, heard, connection } = await connected();
    const left = world.socket;
    left.greet('e', 0);
    connection.start(null);
    await settled();
    left.say(event(1));
    left.cut();
    expect(heard.offsets).toEqual([]);
    expect(connection.status.kind).toBe('connecting');
  });
});

describe('waiting', () => {
  it('is spread over half its length', () => {
    expect([wait(1, 0), wait(1, 1), wait(4, 0.5), wait(99, 1)]).toEqual([250, 500, 3000, 10_000]);
  });

  it('is shown in whole seconds', () => {
    expect([seconds(0, 1), seconds(0, 1001), seconds(10, 5)]).toEqual([1, 2, 0]);
  });
});
