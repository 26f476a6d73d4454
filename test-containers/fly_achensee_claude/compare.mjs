// Compares what the CLI reported (side file) with what was recorded (the service): counts, ids, order, results.
//
//   node compare.mjs SIDE_FILE SERVICE_URL SESSION_ID WORKSPACE
//
// Prints a line a check; ends with 1 if any failed.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [sideFile, service, sessionId, workspace] = process.argv.slice(2);
const side = readFileSync(sideFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const kind = (name) => side.filter((line) => line.kind === name);
const runs = Math.max(...side.map((line) => line.run));

async function get(path) {
  const response = await fetch(`${service}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function history() {
  const events = [];
  for (let after = '0'; ; ) {
    const page = await get(`/api/sessions/${sessionId}/events?limit=1000&after=${after}`);
    events.push(...page.events);
    if (page.events.length === 0 || page.next === after) return events;
    after = page.next;
  }
}

let failures = 0;
function check(what, found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a === b) return console.log(`ok    ${what}`);
  failures += 1;
  console.log(`FAIL  ${what}\n      found    ${a}\n      expected ${b}`);
}

const session = await get(`/api/sessions/${sessionId}`);
const events = await history();
const records = [...session.actions, ...session.responses].sort((a, b) => a.$offset - b.$offset);
const sorted = (list) => [...list].sort();

function counts(names) {
  const counted = {};
  for (const name of sorted(names)) counted[name] = (counted[name] ?? 0) + 1;
  return counted;
}

function session_() {
  const ids = new Set(kind('session').map((line) => line.id));
  check('one session of Claude Code over all runs', ids.size, 1);
  check('its id is in the state', session.state.claudeCode.sessionId, [...ids][0]);
  check('every payload is of that session', records.every((record) => ids.has(record.payload.session_id)), true);
  check('source', session.initial.source, 'claude-code');
  const wanted = ['session_created', ...Array.from({ length: runs }, (_, n) => (n ? ['session_reopened', 'session_finalized'] : ['session_finalized'])).flat()];
  check('created, finalized, reopened', events.map((event) => event.type).filter((type) => type.startsWith('session_')), wanted);
  check('status', [session.metadata.status, session.final.status], ['completed', 'success']);
  check('final response', session.final.finalResponse, kind('result').at(-1).text);
}

function hooks() {
  const started = kind('hook').filter((line) => line.phase === 'started');
  const expected = counts([...started.map((line) => line.event), ...Array(runs).fill('SessionEnd')]);
  const { InstructionsLoaded = 0, ...found } = counts(records.map((record) => record.event));
  check('records a hook event', found, expected);
  check('instructions loaded in each run', InstructionsLoaded, runs);
  const ended = kind('hook').filter((line) => line.phase === 'ended');
  check('hooks that ended', ended.length, started.length);
  check('hooks that said something or failed', ended.filter((line) => line.exitCode !== 0 || line.stdout || line.stderr), []);
}

/** A hook that ended before another began is recorded before it. */
function order() {
  const nameOf = (record) => {
    const of = record.event.startsWith('PostToolUse') || record.event === 'PreToolUse' ? record.tool : undefined;
    return of ? `${record.event}:${of}` : record.event;
  };
  const rows = new Map();
  for (const [at, record] of records.entries()) rows.set(nameOf(record), [...(rows.get(nameOf(record)) ?? []), at]);
  const place = new Map();
  const misplaced = [];
  let latestEnded = -1;
  for (const line of kind('hook')) {
    const name = line.event.includes('Tool') && line.event !== 'PostToolBatch' ? line.name : line.event;
    if (line.phase === 'started') {
      place.set(line.id, rows.get(name)?.shift() ?? -1);
      if (place.get(line.id) < latestEnded) misplaced.push(line.name);
    } else latestEnded = Math.max(latestEnded, place.get(line.id));
  }
  check('order of the hooks', misplaced, []);
  const times = records.map((record) => record.timestamp);
  const apart = times.slice(1).filter((time, at) => Date.parse(times[at]) - Date.parse(time) > 100);
  check('times follow the order (to 100 ms)', apart, []);
}

function tools() {
  const of = (event) => sorted(records.filter((record) => record.event === event).map((record) => record.toolUseId));
  const called = sorted(kind('tool').map((line) => line.id));
  const failed = sorted(kind('failed').map((line) => line.id));
  check('tool calls', of('PreToolUse'), called);
  check('tool failures', of('PostToolUseFailure'), failed);
  check('tool results', of('PostToolUse'), called.filter((id) => !failed.includes(id)));
  check('results have a duration', records.filter((record) => record.type === 'tool_result' && !(record.durationMs >= 0)), []);
  check('errors in the state', sorted(session.state.errors.map((error) => error.toolUseId)), failed);
  const said = session.responses.filter((record) => record.type === 'stop').map((record) => record.content);
  check('last words of each run', said, kind('result').map((line) => line.text));
}

function agents() {
  const expected = sorted(kind('agent').map((line) => [line.id, line.toolUseId, line.task].join(' ')));
  const { spawned, active, completed } = session.state.agents;
  check('agents', sorted(spawned.map((agent) => [agent.agentId, agent.toolUseId, agent.task].join(' '))), expected);
  check('agents that are done', [active, sorted(completed)], [[], sorted(kind('agent').map((line) => line.id))]);
  const nested = Object.entries(session.state.claudeCode.agents ?? {}).map(([id, { toolUseId }]) => `${id} ${toolUseId}`);
  check('agents by the call that started them', sorted(nested), sorted(kind('agent').map((line) => `${line.id} ${line.toolUseId}`)));
}

function largePayload() {
  const written = records.find((record) => record.type === 'file_write');
  if (!written) return;
  const digest = (text) => `${text.length} ${createHash('sha256').update(text).digest('hex')}`;
  const file = digest(readFileSync(join(workspace, 'data/tracklog.igc'), 'utf8'));
  check('the large payload is whole', digest(written.payload.tool_input.content), file);
  const result = records.find((record) => record.toolUseId === written.toolUseId && record.type === 'tool_result');
  check('and so is its result', digest(result.payload.tool_response.content), file);
}

for (const part of [session_, hooks, order, tools, agents, largePayload]) part();
console.log(`${records.length} records, ${events.length} events, ${failures} failed checks`);
process.exitCode = failures ? 1 : 0;
