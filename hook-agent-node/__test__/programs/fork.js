'use strict';
// Makes calls, and forks two processes that make calls as well.

const { fork } = require('node:child_process');
const { HookAgent } = require('hook-agent');

const who = process.argv[2] ?? 'parent';
const agent = new HookAgent({ sessionId: who });
for (let n = 0; n < 100; n += 1) agent.logAction({ n });
if (who === 'parent') for (const child of ['a', 'b']) fork(__filename, [child]);
