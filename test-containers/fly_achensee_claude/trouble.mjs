// Prints the lines that the hooks noted in a spool folder's `trouble.log` and should not have.
//
//   node trouble.mjs SPOOL_DIR [FROM TO]      FROM and TO: the service's absence, in milliseconds since 1970
//
// Exits with 1 if there are such lines, or rejected records. `not delivered yet` means that a hook could not deliver
// all its records within its 50 ms; the comparison shows that they were delivered later. While the service is there,
// only one reason for it is accepted: that the machine was too busy. While the service is away (and for the second that
// hooks pause after a failure), any reason is accepted. No other lines may be there.

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [spool, from = 0, to = 0] = process.argv.slice(2);
const PAUSE_MS = 1500;
const SLOW =
  /^not delivered yet: (failed to store a blob: )?(the service did not accept everything in time|the request failed: no response in time|connecting failed: `[^`]+`: (the host name was not resolved in time|not connected in time)$)/;

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
