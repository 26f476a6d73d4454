// What the hooks noted in a spool folder's `trouble.log` and should not have.
//
//   node trouble.mjs SPOOL_DIR [FROM TO]      milliseconds since 1970 of the service's absence
//
// Prints such lines; ends with 1 if there are any, or rejected records. `not delivered yet` is a hook that could not
// hand over all it had in its 50 ms: that it was delivered later is for the comparison to show. While the service is
// there, one reason is no fault: that the machine was too busy for it. While it is away (and for the second that hooks
// pause after a failure), any reason is as it should be. Nothing else may ever be noted.

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [spool, from = 0, to = 0] = process.argv.slice(2);
const PAUSE_MS = 1500;
const SLOW =
  /^not delivered yet: (not everything was taken in time|exchange: no answer in time|connect: `[^`]+`: (the name was not resolved in time|no time was left to connect)$)/;

const names = existsSync(spool) ? readdirSync(spool) : [];
const folders = names.map((name) => join(spool, name)).filter((path) => statSync(path).isDirectory());

function faults(folder) {
  const lines = ['trouble.1.log', 'trouble.log']
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(Boolean));
  const told = lines.filter((line) => {
    const [time, ...words] = line.split(' ');
    const at = Date.parse(time);
    const away = at >= Number(from) && at <= Number(to) + PAUSE_MS;
    const text = words.join(' ');
    return !SLOW.test(text) && !(away && text.startsWith('not delivered yet: '));
  });
  return existsSync(join(folder, 'rejected')) ? [...told, `${folder}/rejected: records were rejected`] : told;
}

const found = folders.length ? folders.flatMap(faults) : [`${spool}: nobody has recorded anything`];
for (const line of found) console.log(line);
process.exitCode = found.length ? 1 : 0;
