// Prints the side file's lines of one run of the CLI; said.mjs describes them.
//
//   node side.mjs RUN FOLDER        reads FOLDER/RUN.begun, RUN.stream and RUN.debug

import { saidIn } from './said.mjs';

const [run, folder] = process.argv.slice(2);
for (const line of saidIn(folder, Number(run))) console.log(JSON.stringify(line));
