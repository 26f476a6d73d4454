// Compares what the CLI reported (side file) with what was recorded (the service): counts, ids, order, results.
//
//   node compare.mjs SIDE_FILE SERVICE_URL SESSION_ID WORKSPACE
//
// Prints one line per check; exits with 1 if any failed. A run that ended is compared to the last record. Of a run that
// was killed, everything that the CLI saw end must be recorded, and nothing that it had not begun.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventsOf, isClaim, readSide, runsOf } from './accounts.mjs';

const [sideFile, service, sessionId, workspace] = process.argv.slice(2);
const side = readSide(sideFile);
const kind = (name) => side.filter((line) => line.kind === name);
const { session, events, records } = await eventsOf(service, sessionId);
const runs = runsOf(side, records);
const whole = runs.filter((run) => run.ended);
const killed = runs.filter((run) => !run.ended);

let failures = 0;
function check(what, found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a === b) return console.log(`ok    ${what}`);
  failures += 1;
  console.log(`FAIL  ${what}\n      found    ${a}\n      expected ${b}`);
}

const sorted = (list) => [...list].sort();
const without = (list, others) => list.filter((one) => !others.includes(one));

function counts(names) {
  const counted = {};
  for (const name of sorted(names)) counted[name] = (counted[name] ?? 0) + 1;
  return counted;
}

function session_() {
  const ids = new Set(kind('session').map((line) => line.id));
  check('one session of Claude Code over all runs', ids.size, 1);
  check('its id is in the state', session.state.claudeCode.sessionId, [...ids][0]);
  const known = records.map((record) => record.raw?.session_id).filter(Boolean);
  check('every record is of that session', known.every((id) => ids.has(id)), true);
  check('every record is of a run', runs.flatMap((run) => run.records).length, records.length);
  check('source', session.initial.source, 'claude-code');
  const ends = runs.flatMap(({ ended }, at) => [
    ...(runs[at - 1]?.ended ? ['session_reopened'] : []),
    ...(ended ? ['session_finalized'] : []),
  ]);
  const found = events.filter((event) => !isClaim(event)).map((event) => event.type).filter((type) => type.startsWith('session_'));
  check('created, finalized, reopened', found, ['session_created', ...ends]);
  check('status', [session.metadata.status, session.final?.status], ['completed', 'success']);
  check('final response', session.final?.finalResponse, kind('result').at(-1).text);
  for (const log of ['actions', 'responses']) {
    check(`${log} are numbered 1, 2, 3, …`, session[log].map((record) => record.seq), session[log].map((_, at) => at + 1));
  }
}

/** Hooks that make no record of their own: their messages and results are told by others. */
const SILENT = ['MessageDisplay', 'PostToolBatch', 'Stop'];

/** The records that stand for a hook each, with their places: a result and a file change may come from one. */
function firsts(records) {
  const isFirst = (record) => record.event && record.type !== 'file_change' && !SILENT.includes(record.event);
  return [...records.entries()].filter(([, record]) => isFirst(record));
}

const eventsIn = (records) => firsts(records).map(([, record]) => record.event);

function hooks() {
  for (const { number, lines, records } of whole) {
    const isHook = (line) => (line.kind === 'quietHook' || line.phase === 'started') && !SILENT.includes(line.event);
    const started = lines.filter(isHook);
    const found = counts(eventsIn(records));
    check(`run ${number}: records a hook event`, found, counts(started.map((line) => line.event)));
    const of = (phase) => lines.filter((line) => line.kind === 'hook' && line.phase === phase).length;
    check(`run ${number}: hooks that ended`, of('ended'), of('started'));
    for (const event of ['InstructionsLoaded', 'SessionEnd']) check(`run ${number}: ${event}`, found[event], 1);
  }
  for (const { number, lines, records } of killed) {
    const of = (phase) => counts(lines.filter((line) => (line.phase === phase || line.kind === 'quietHook') && !SILENT.includes(line.event)).map((line) => line.event));
    const [began, done, found] = [of('started'), of('ended'), counts(eventsIn(records))];
    const missing = Object.keys(done).filter((event) => (found[event] ?? 0) < done[event]);
    // A quiet hook is reported only when it has ended.
    const invented = Object.keys(found).filter((event) => found[event] > (began[event] ?? 0) && event !== 'InstructionsLoaded');
    check(`run ${number} (killed): nothing that ended is missing, nothing is invented`, { missing, invented }, { missing: [], invented: [] });
  }
  const ends = [...kind('quietHook'), ...kind('hook').filter((line) => line.phase === 'ended')];
  check('hooks that said something or failed', ends.filter((line) => line.exitCode !== 0 || line.stdout || line.stderr), []);
}

/** Checks that a hook that ended before another began is recorded before it. */
function order() {
  const nameOf = (record) => {
    const isTool = record.event.startsWith('PostToolUse') || record.event === 'PreToolUse';
    // Two agents may begin at the same time: only their types tell their hooks apart.
    const of = isTool ? record.tool : record.event === 'SubagentStart' ? record.agentType : undefined;
    return of ? `${record.event}:${of}` : record.event;
  };
  const isNamed = ({ event }) => (event.includes('Tool') && event !== 'PostToolBatch') || event === 'SubagentStart';
  for (const { number, lines, records } of runs) {
    const rows = new Map();
    for (const [at, record] of firsts(records)) rows.set(nameOf(record), [...(rows.get(nameOf(record)) ?? []), at]);
    const place = new Map();
    const misplaced = [];
    let latestEnded = -1;
    for (const line of lines.filter((line) => line.kind === 'hook' && !SILENT.includes(line.event))) {
      const name = isNamed(line) ? line.name : line.event;
      if (line.phase === 'started') {
        place.set(line.id, rows.get(name)?.shift() ?? Infinity);
        if (place.get(line.id) < latestEnded) misplaced.push(line.name);
      } else if (place.get(line.id) === Infinity) misplaced.push(`${line.name} is missing`);
      else latestEnded = Math.max(latestEnded, place.get(line.id));
    }
    check(`run ${number}: order of the hooks`, misplaced, []);
  }
  const times = records.filter((record) => record.origin?.lane === 'hook').map((record) => record.timestamp);
  const apart = times.slice(1).filter((time, at) => Date.parse(times[at]) - Date.parse(time) > 100);
  check('times follow the order (to 100 ms)', apart, []);
}

function tools() {
  const agentOf = new Map(kind('agent').map((line) => [line.toolUseId, line.id]));
  const called = ({ id, parent }) => `${id} by ${parent ? agentOf.get(parent) : 'the main agent'}`;
  for (const { number, ended, lines, records } of runs) {
    const of = (event) => records.filter((record) => record.event === event);
    // When the CLI resumes, it reports the calls that a kill has cut off once more, as failed: it does not run them, so
    // there are no hooks.
    const cut = killed.filter((run) => run.number < number).flatMap((run) => run.lines).filter((line) => line.kind === 'tool');
    const broken = lines.filter((line) => line.kind === 'failed').map((line) => line.id);
    const again = cut.map((line) => line.id).filter((id) => broken.includes(id));
    const said = lines.filter((line) => line.kind === 'tool' && !again.includes(line.id));
    const failed = without(broken, again);
    const recorded = of('PreToolUse').map((record) => `${record.callId} by ${record.agentId ?? 'the main agent'}`);
    if (!ended) {
      // An agent's call is reported after its hook has begun, so the report of the last calls may be missing.
      const begun = lines.filter((line) => line.phase === 'started' && line.event === 'PreToolUse').length;
      const unsaid = without(recorded, said.map(called));
      check(`run ${number} (killed): tool calls that nobody made`, unsaid.slice(Math.max(0, begun - said.length)), []);
      continue;
    }
    check(`run ${number}: tool calls, and who made them`, sorted(recorded), sorted(said.map(called)));
    check(`run ${number}: tool failures`, sorted(of('PostToolUseFailure').map((record) => record.callId)), sorted(failed));
    const done = sorted(said.map((line) => line.id).filter((id) => !failed.includes(id)));
    // A result may have changes of files beside it.
    const results = of('PostToolUse').filter((record) => record.type === 'tool_result');
    check(`run ${number}: tool results`, sorted(results.map((record) => record.callId)), done);
    const words = records.filter((record) => record.type === 'assistant_message' && !record.agentId).map((record) => record.text);
    const streamed = lines.filter((line) => line.kind === 'message' && !line.parent).map((line) => line.text);
    check(`run ${number}: messages`, words, streamed);
  }
  check('results have a duration', records.filter((record) => record.type === 'tool_result' && !(record.durationMs >= 0)), []);
  const isFailure = ({ type, status }) => type === 'tool_result' && status === 'error';
  const errors = records.filter(isFailure).map((record) => record.callId);
  check('errors in the state', session.state.errors.map((error) => error.toolUseId), errors);
}

function agents() {
  const key = (id, toolUseId, task) => [id, toolUseId, task].join(' ');
  const of = (run) => run.lines.filter((line) => line.kind === 'agent');
  const cut = killed.flatMap(of).map((line) => line.id);
  const { spawned, active, completed } = session.state.agents;
  const wanted = sorted(whole.flatMap(of).map((line) => key(line.id, line.toolUseId, line.task)));
  const known = spawned.filter((agent) => !cut.includes(agent.agentId));
  check('agents', sorted(known.map((agent) => key(agent.agentId, agent.toolUseId, agent.task))), wanted);
  check('agents at work that no kill has cut off', without(active, cut), []);
  check('agents that are done', sorted(without(completed, cut)), sorted(whole.flatMap(of).map((line) => line.id)));
  const nested = Object.entries(session.state.claudeCode.agents ?? {}).filter(([id]) => !cut.includes(id));
  const callers = whole.flatMap(of).map((line) => `${line.id} ${line.toolUseId}`);
  check('agents by the call that started them', sorted(nested.map(([id, { toolUseId }]) => `${id} ${toolUseId}`)), sorted(callers));
  for (const run of whole.filter((run) => of(run).length > 1)) {
    check(`run ${run.number}: agents at work side by side`, mostAtOnce(run.records), of(run).length);
  }
}

function mostAtOnce(records) {
  let [now, most] = [0, 0];
  for (const { type } of records) {
    now += Number(type === 'agent_started') - Number(type === 'agent_stopped');
    most = Math.max(most, now);
  }
  return most;
}

/** The tokens that the CLI reports for all of its runs, and those that the service has summed. */
function usage() {
  const counted = records.filter(({ type }) => type === 'usage');
  const keys = counted.map(({ key }) => key);
  check('every request has one usage record', new Set(keys).size, keys.length);
  const { input = 0, output = 0, cacheRead = 0, cacheWrite = 0 } = session.metadata.tokenUsage;
  const summed = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  for (const record of counted) for (const name of Object.keys(summed)) summed[name] += record[name];
  check('tokenUsage is the sum of the usage records', { input, output, cacheRead, cacheWrite }, summed);
  // A killed run reports no usage; the run that resumes it records what its transcript has.
  if (killed.length > 0) return;
  const ofCli = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  for (const { models } of kind('result')) {
    for (const model of Object.values(models)) {
      ofCli.input += model.inputTokens;
      ofCli.output += model.outputTokens;
      ofCli.cacheRead += model.cacheReadInputTokens;
      ofCli.cacheWrite += model.cacheCreationInputTokens;
    }
  }
  check('the usage is what the CLI reports', summed, ofCli);
}

/** Everything that was said and done is of the vocabulary, and joined by its ids. */
function conversation() {
  const calls = new Set(records.filter(({ key }) => key?.startsWith('call:')).map(({ callId }) => callId));
  const results = records.filter(({ type }) => type === 'tool_result');
  check('results without a call', results.filter(({ callId }) => !calls.has(callId)), []);
  const changes = records.filter(({ type }) => type === 'file_change');
  check('changes of files without a call', changes.filter(({ callId }) => !calls.has(callId)), []);
  const said = counts(session.responses.map(({ type }) => type));
  check('unknown types of what was said', without(Object.keys(said), ['assistant_message', 'system_message', 'thinking', 'user_message']), []);
  check('a user message for each run or more', (said.user_message ?? 0) >= whole.length, true);
}

/** A text of a record, whole: the client stores a long one as a blob, and leaves an excerpt. */
async function wholeText(record, path) {
  const reference = record?.blobs?.[path];
  if (!reference) return path.split('.').reduce((value, name) => value?.[name], record);
  const blob = reference.$blob.replace('sha256:', '');
  const answer = await fetch(`${service}/api/sessions/${sessionId}/blobs/${blob}`);
  return answer.ok ? answer.text() : `the blob of ${path}: ${answer.status} ${await answer.text()}`;
}

async function largePayload() {
  const calls = whole.flatMap((run) => run.lines).filter((line) => line.kind === 'tool' && line.name === 'Write');
  const digest = (text) => `${text?.length} ${createHash('sha256').update(text ?? '').digest('hex')}`;
  for (const { id } of calls) {
    const [call, result] = ['file_write', 'tool_result'].map((type) =>
      records.findLast((record) => record.callId === id && record.type === type),
    );
    const file = readFileSync(join(workspace, 'data/tracklog.igc'), 'utf8');
    check('the large payload has 3 MiB', file.length >= 3 * 1024 * 1024, true);
    check('it is whole', digest(await wholeText(call, 'input.content')), digest(file));
    check('and so is its result', digest(await wholeText(result, 'output.content')), digest(file));
    check('the record has an excerpt', JSON.stringify(call).length < 128 * 1024, true);
  }
}

for (const part of [session_, hooks, order, tools, agents, usage, conversation, largePayload]) await part();
console.log(`${records.length} records, ${events.length} events, ${runs.length} runs, ${killed.length} killed, ${failures} failed checks`);
process.exitCode = failures ? 1 : 0;
