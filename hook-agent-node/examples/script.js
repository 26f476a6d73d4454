'use strict';
// A plain script: it calls, and ends. What it called arrives, now or with the next program.
//
//   SESSION_ID=demo node examples/script.js

const { logAction, logResponse, finalizeSession } = require('hook-agent');

for (const file of ['a.txt', 'b.txt']) {
  logAction({ type: 'file_write', file });
}
logResponse({ text: 'two files written' });
finalizeSession({ status: 'success' });
