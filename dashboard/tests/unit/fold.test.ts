import { describe, expect, it } from 'vitest';
import { deepMerge, setDotted } from '../../src/store/fold/merge';
import { foldMetadata, countsAsError, metricOf } from '../../src/store/fold/metadata';
import { foldState } from '../../src/store/fold/state';
import { rowOf } from '../../src/store/row';
import { EVENT_TYPES, type SessionEvent } from '../../src/wire/event';
import type { Fields } from '../../src/wire/json';
import { event } from './fake_socket';
import { counters, errors, events, eventTypes, wire } from './fixtures';

const creation: Fields = {
  $schema: 'session-state-v1',
  version: 1,
  timestamp: '',
  phase: 'initialization',
  currentStep: null,
  goals: [],
  priorities: { current: null, queue: [], blocked: [] },
  expectedOutcome: {},
  agents: { spawned: [], active: [], completed: [] },
  mcp: { swarm: {}, memory: { keys: [] } },
  workspace: { cwd: '/workspace', filesCreated: [], filesModified: [], gitStatus: {} },
  errors: [],
};
const created: Fields = {
  $schema: 'session-metadata-v1',
  sessionId: 'fixture-1',
  userId: 'pilot',
  sandboxId: null,
  created: '2026-09-21T14:13:20.000Z',
  updated: '2026-09-21T14:13:20.000Z',
  status: 'active',
  model: 'm-1',
  yoloMode: false,
  tokenUsage: { input: 0, output: 0, total: 0 },
  metrics: { agentsSpawned: 0, toolCalls: 0, mcpCalls: 0, filesModified: 0, bashCommands: 0 },
  tags: [],
  parentSession: 'parent-1',
  subsessions: [],
  duration: null,
  outcome: null,
  errorCount: 0,
  $offset: 100,
  $logs: { changes: { seq: 1 } },
};

describe('the types of events', () => {
  it('are those of the service', () => {
    expect(EVENT_TYPES).toEqual(eventTypes);
  });
});

describe('the state', () => {
  it('is after the events of the fixtures what the service says', () => {
    const end = events.reduce<Fields>((state, next) => {
      const folded = foldState(state, next);
      if (folded === 'unknown') throw new Error(`${next.type} was not understood`);
      return folded === 'unchanged' ? state : folded.state;
    }, creation);
    expect(end).toEqual(wire.state);
  });

  it('is fetched when an event is of another version or another kind of patch', () => {
    expect(foldState(creation, event(1, { phase: 'x', version: 3 }, 'state_updated'))).toBe('unknown');
    expect(foldState(creation, { ...event(1, { patch: [], version: 2 }, 'state_updated'), format: 'json-patch' })).toBe(
      'unknown',
    );
    expect(foldState(creation, event(1, { type: 'tool_call' }))).toBe('unchanged');
  });
});

describe('the metadata', () => {
  it('are after the events of the fixtures what the service says', () => {
    const end = events.slice(1).reduce(foldMetadata, created);
    for (const [key, value] of Object.entries(wire.metadata)) expect(end[key], key).toEqual(value);
  });

  it('count each record in the row', () => {
    expect(rowOf(events.slice(1).reduce(foldMetadata, created)).records).toBe(events.length);
  });

  it('count an action by its type', () => {
    expect(Object.keys(counters).length).toBeGreaterThan(60);
    for (const [type, counter] of Object.entries(counters)) expect(metricOf(type), type).toBe(counter);
  });

  it('resumes an agent, and uses the times of the client', () => {
    const at = (second: number) => `2026-09-21T14:13:0${String(second)}.000Z`;
    const of = (type: SessionEvent['type'], data: Fields, second: number): SessionEvent => ({
      offset: second,
      type,
      sessionId: 's',
      data,
      timestamp: at(second),
    });
    const agent = { agentId: 'a', status: 'spawned' };
    const changes = [
      of('agent_spawned', agent, 1),
      of('agent_completed', { agentId: 'a', completedAt: at(1) }, 3),
      of('agent_spawned', { ...agent, resumes: 1, subsession: 'child' }, 4),
    ];
    let state: Fields = { version: 1, agents: { spawned: [], active: [], completed: [] } };
    let metadata: Fields = { created: at(0), metrics: { agentsSpawned: 0 }, updated: at(0) };
    const seen = changes.map((event) => {
      const folded = foldState(state, event);
      if (typeof folded === 'string') throw new Error(folded);
      ({ state } = folded);
      metadata = foldMetadata(metadata, event);
      return state['agents'];
    });
    expect(seen[1]).toMatchObject({ spawned: [{ completedAt: at(1) }], active: [], completed: ['a'] });
    expect(seen[2]).toEqual({ spawned: [{ ...agent, resumes: 1, subsession: 'child' }], active: ['a'], completed: [] });
    expect(metadata['metrics']).toEqual({ agentsSpawned: 1 });
    expect(metadata['subsessions']).toEqual(['child']);
    const ended = of('session_finalized', { timestamp: at(5) }, 7);
    expect(foldMetadata(metadata, ended)['duration']).toBe(5000);
    expect(foldMetadata(metadata, of('session_finalized', { timestamp: at(9) }, 7))['duration']).toBe(7000);
  });

  it('counts as an error what the service does', () => {
    expect(errors.length).toBeGreaterThan(10);
    for (const [record, isError] of errors) expect(countsAsError(record), JSON.stringify(record)).toBe(isError);
  });
});

describe('merging', () => {
  it('treats hostile keys as keys', () => {
    const patch = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}}}') as Fields;
    const merged = deepMerge({ a: 1 }, patch);
    expect(Object.keys(merged)).toEqual(['a', '__proto__', 'constructor']);
    expect(({} as Fields)['polluted']).toBeUndefined();
    expect(Object.hasOwn(setDotted({}, '__proto__.x', 1), '__proto__')).toBe(true);
  });

  it('merges objects, replaces the rest and stores null', () => {
    expect(deepMerge({ a: { b: 1, c: [1] }, d: 1 }, { a: { c: [2], e: null }, d: { f: 1 } })).toEqual({
      a: { b: 1, c: [2], e: null },
      d: { f: 1 },
    });
  });

  it('adds only to numbers', () => {
    expect(setDotted({ n: 1, s: 'x' }, 'n', '+2')['n']).toBe(3);
    expect(setDotted({}, 'a.b', '+2')).toEqual({ a: { b: 2 } });
    expect(setDotted({ s: 'x' }, 's', '+2')['s']).toBe('+2');
    expect(setDotted({}, 's', '+')['s']).toBe('+');
  });
});
