'use strict';
// A server that records its requests, one session a user. The middleware never waits for the recorder.
//
//   npm install express && PORT=3000 node examples/server.js

const express = require('express');
const { HookAgent } = require('hook-agent');

function recorded(req, res, next) {
  const began = performance.now();
  const agent = new HookAgent({ sessionId: `user-${req.query.user ?? 'unknown'}` });
  res.on('finish', () => {
    const millis = Math.round(performance.now() - began);
    agent.logAction({ type: 'request', method: req.method, path: req.path, status: res.statusCode, millis });
  });
  next();
}

const app = express();
app.use(recorded);
app.get('/', (req, res) => res.json({ hello: req.query.user }));

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => server.close(() => server.closeAllConnections()));
