'use strict';
// A primary that makes calls, and two workers that make calls as well and then disconnect.

const cluster = require('node:cluster');
const { HookAgent } = require('hook-agent');

const agent = new HookAgent({ sessionId: cluster.isPrimary ? 'primary' : `worker-${cluster.worker.id}` });
for (let n = 0; n < 100; n += 1) agent.logAction({ n });
if (cluster.isPrimary) for (let n = 0; n < 2; n += 1) cluster.fork();
else agent.flush(20_000).then(() => cluster.worker.disconnect());
