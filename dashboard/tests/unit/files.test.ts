import { describe, expect, it, vi } from 'vitest';
import { FileHistory } from '../../src/store/files';
import { Timeline } from '../../src/store/timeline/timeline';
import type { Fields } from '../../src/wire/json';
import type { EventPage } from '../../src/wire/session';
import { event, FakeSession } from './fake_socket';

/** Opens the files of a session with these actions, read in pages as the service returns them. */
async function opened(actions: Fields[]) {
  let events = actions.map((data, n) => event(n + 1, data));
  const fetch = async (at: number, limit: number): Promise<EventPage> => {
    const start = at < 0 ? Math.max(0, events.length + at) : at;
    return { events: events.slice(start, start + limit), at: start, total: events.length, next: `e-${events.length}` };
  };
  const timeline = new Timeline(fetch, () => {});
  timeline.open(await fetch(-100, 100));
  const files = new FileHistory(timeline, fetch);
  files.open();
  const session = new FakeSession();
  const stop = files.follow(session);
  await read(files);
  /** Everything is fetched again after a gap: the session has other actions now. */
  const reload = async (next: Fields[]): Promise<void> => {
    events = next.map((data, n) => event(n + 1, data));
    timeline.open(await fetch(-100, 100));
    session.reset();
    await read(files);
  };
  return { files, session, reload, stop };
}

async function read(files: FileHistory): Promise<void> {
  await vi.waitFor(() => expect(files.left).toBe(0), { timeout: 30_000, interval: 1 });
}

async function history(actions: Fields[]): Promise<FileHistory> {
  return (await opened(actions)).files;
}

const shape = (files: FileHistory): unknown[] => files.files.map(({ path, counts, failed }) => [path, counts, failed]);
const claude = (id: string, type: string, tool: string, input: Fields): Fields => ({
  type,
  tool,
  toolUseId: id,
  payload: { tool_name: tool, tool_input: input },
});

describe('the files of a session', () => {
  it('are those that the calls of Claude Code wrote and edited', async () => {
    const files = await history([
      claude('1', 'file_write', 'Write', { file_path: '/w/a.ts', content: 'x' }),
      { type: 'tool_result', toolUseId: '1', status: 'ok', payload: { tool_response: { type: 'create' } } },
      claude('2', 'file_edit', 'Edit', { file_path: '/w/a.ts' }),
      { type: 'tool_result', toolUseId: '2', status: 'ok' },
      claude('3', 'file_edit', 'MultiEdit', { file_path: '/w/b.ts' }),
      claude('4', 'file_edit', 'NotebookEdit', { notebook_path: '/w/c.ipynb' }),
      { type: 'tool_error', toolUseId: '4', status: 'denied' },
      claude('5', 'tool_call', 'Read', { file_path: '/w/read.ts' }),
      claude('6', 'tool_call', 'Write', { file_path: '/w/old.ts' }),
    ]);
    expect(shape(files)).toEqual([
      ['/w/old.ts', { written: 1 }, 0],
      ['/w/c.ipynb', {}, 1],
      ['/w/b.ts', { edited: 1 }, 0],
      ['/w/a.ts', { created: 1, edited: 1 }, 0],
    ]);
  });

  it('are counted once where a call and its changes are both recorded', async () => {
    const files = await history([
      { type: 'file_edit', callId: 'c', paths: ['x', 'y'] },
      { type: 'file_edit', callId: 'c', paths: ['x', 'y'] },
      { type: 'file_change', callId: 'c', path: 'x', op: 'create' },
      { type: 'file_change', callId: 'c', path: 'y', op: 'delete' },
      { type: 'file_edit', path: 'z' },
      { type: 'file_edit', path: 'z' },
      { type: 'file_write', callId: 'd', path: 'w' },
      { type: 'file_write', callId: 'd', path: 'w' },
    ]);
    expect(shape(files)).toEqual([
      ['w', { written: 1 }, 0],
      ['z', { edited: 2 }, 0],
      ['y', { deleted: 1 }, 0],
      ['x', { created: 1 }, 0],
    ]);
  });

  it('are read again when everything was fetched again', async () => {
    const call = (path: string, callId: string): Fields => ({ type: 'file_edit', path, callId });
    const { files, session, reload } = await opened([
      call('before', '1'),
      { type: 'file_change', callId: '2', path: 'x', op: 'create' },
      { type: 'tool_error', callId: '1', status: 'error' },
    ]);
    session.record(3, event(4, call('live', '3')));
    expect(shape(files)).toEqual([
      ['live', { edited: 1 }, 0],
      ['x', { created: 1 }, 0],
      ['before', {}, 1],
    ]);
    // The same call ids have no results and no changes now.
    await reload([...Array.from({ length: 700 }, (_, n) => ({ type: 'note', n })), call('after', '1'), call('y', '2')]);
    expect(shape(files)).toEqual([
      ['y', { edited: 1 }, 0],
      ['after', { edited: 1 }, 0],
    ]);
    session.record(702, event(703, call('later', '4')));
    expect(files.files[0]?.path).toBe('later');
  });

  it('are empty where no call touched a file', async () => {
    expect(
      shape(
        await history([
          { type: 'bash_exec', command: 'ls' },
          { type: 'file_read', path: 'a' },
        ]),
      ),
    ).toEqual([]);
  });
});
