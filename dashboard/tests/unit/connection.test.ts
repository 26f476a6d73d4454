import { describe, expect, it } from 'vitest';
import { adviceFor } from '../../src/connection/advice';
import { wait } from '../../src/connection/backoff';
import { Connection } from '../../src/connection/connection';
import { seconds, standing } from '../../src/connection/status';
import { event, Heard, World } from './fake_socket';
import { frames } from './fixtures';

function connected(from: { epoch: string; offset: number } | null = null) {
  const [world, heard] = [new World(), new Heard()];
  const connection = new Connection((since) => `ws://x/ws${since === null ? '' : `?since=${since}`}`, heard, world);
  connection.start(from);
  return { world, heard, connection };
}

describe('a connection', () => {
  it('tells every event of the fixtures once, in order', () => {
    const { world, heard } = connected();
    world.socket.greet('e1', 99);
    for (const frame of frames) world.socket.say(frame);
    for (const frame of frames) world.socket.say(frame);
    expect(heard.offsets).toEqual(frames.map((frame) => (JSON.parse(frame) as { offset: number }).offset));
  });

  it('resumes after a cut from the last event it told', async () => {
    const { world, heard, connection } = connected({ epoch: '', offset: 4 });
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

  it('tells a gap and goes on behind it, also when the numbers begin anew', () => {
    const { world, heard, connection } = connected({ epoch: 'old', offset: 900 });
    world.socket.greet('new', 10);
    world.socket.say({ type: 'gap', from: 900, to: 10 });
    world.socket.say(event(11));
    expect(heard.gaps).toEqual([{ from: 900, to: 10 }]);
    expect(heard.offsets).toEqual([11]);
    expect(connection.position).toEqual({ epoch: 'new', offset: 11 });
  });

  it('waits longer each time, and not when asked', async () => {
    const { world, connection } = connected();
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
    expect(world.sockets.length).toBe(before + 1);
  });

  it('counts the time without contact from the cut, over all attempts', async () => {
    const { world, connection } = connected();
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
    const { world } = connected();
    await world.pass(10_000);
    expect(world.sockets[0]?.closed).toBe(true);
    await world.pass(1000);
    expect(world.sockets.length).toBe(2);
  });

  it('asks the service after a silence, and connects anew when it is not well', async () => {
    const { world, connection } = connected();
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
    const { world } = connected();
    world.socket.greet('e', 0);
    for (let offset = 1; offset <= 10; offset += 1) {
      world.socket.say(event(offset));
      await world.pass(5000);
    }
    expect(world.probes).toBe(0);
  });

  it('does as the close code says', async () => {
    const { world, heard, connection } = connected();
    world.socket.greet('e', 0);
    world.socket.cut(4409);
    expect([heard.resyncs, connection.status.kind]).toEqual([1, 'ended']);
    await world.pass(60_000);
    expect(world.sockets.length).toBe(1);
    expect([1001, 1006, 1013, 4408].map(adviceFor)).toEqual(Array(4).fill('reconnect'));
    expect([1002, 1009].map(adviceFor)).toEqual(['terminal', 'terminal']);
  });

  it('hears nothing of a socket it has left', () => {
    const { world, heard, connection } = connected();
    const left = world.socket;
    left.greet('e', 0);
    connection.start(null);
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

  it('is told in whole seconds', () => {
    expect([seconds(0, 1), seconds(0, 1001), seconds(10, 5)]).toEqual([1, 2, 0]);
  });
});
