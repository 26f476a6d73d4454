'use strict';
// The normal end of a program: its calls get a limited time to be delivered.

const replies = require('./reply_queue.js');

const LIMIT_MS = 2000;
let registered = false;

function settleBeforeExit() {
  if (registered) return;
  registered = true;
  process.once('beforeExit', settle);
}

function settle() {
  const limit = setTimeout(() => {}, LIMIT_MS);
  replies.open().rest(replies.expect(() => clearTimeout(limit)));
}

module.exports = { settleBeforeExit };
