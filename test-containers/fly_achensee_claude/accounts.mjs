// Reads the two accounts of a session: what the CLI reported (the side file) and what was recorded (the service).

import { readFileSync } from 'node:fs';

export function readSide(path) {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** Returns the session, all its events, and its log records in the order in which they were recorded. */
export async function eventsOf(service, sessionId) {
  const get = async (path) => {
    const response = await fetch(`${service}${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const session = await get(`/api/sessions/${sessionId}`);
  const events = [];
  for (let after = '0'; ; ) {
    const page = await get(`/api/sessions/${sessionId}/events?limit=1000&after=${after}`);
    events.push(...page.events);
    if (page.events.length === 0 || page.next === after) break;
    after = page.next;
  }
  const records = [...session.actions, ...session.responses].sort((a, b) => a.$offset - b.$offset);
  return { session, events, records };
}

/**
 * Whether SessionStart took over an existing session: `InstructionsLoaded` runs at the same time and may be recorded
 * first, and the first record of a session creates it.
 */
export function isClaim(event) {
  return event.type === 'session_created' && event.data.claimed === true;
}

/** Returns the CLI's runs with their lines and records; a hook is stamped when it starts, which gives its run. */
export function runsOf(side, records) {
  const begun = side.filter((line) => line.kind === 'run');
  const runOf = (record) => begun.findLast((line) => line.begun <= Date.parse(record.timestamp))?.run;
  return begun.map(({ run, ended }) => ({
    number: run,
    ended,
    lines: side.filter((line) => line.run === run),
    records: records.filter((record) => runOf(record) === run),
  }));
}
