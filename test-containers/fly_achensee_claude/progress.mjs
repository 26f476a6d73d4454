// Prints the progress that a side file shows, `SCENARIO yes|no SESSION`: the scenario to do next, whether it was
// interrupted, and Claude Code's session.
//
//   node progress.mjs SIDE_FILE

import { readFileSync } from 'node:fs';

const lines = readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const last = lines.findLast((line) => line.kind === 'run');
const session = lines.findLast((line) => line.kind === 'session')?.id ?? '';
const scenario = last ? last.scenario + (last.ended ? 1 : 0) : 0;
console.log(scenario, last && !last.ended ? 'yes' : 'no', session);
