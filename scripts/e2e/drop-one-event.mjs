// A proxy between a client and the service that loses one event and answers the client as if the event had been stored.
//
//   node drop-one-event.mjs HOST PORT SERVICE      prints `listening` when it is ready
//
// The lost event is the first `step_ended` in a batch of more than one line. Everything else passes unchanged.

import { createServer, request } from 'node:http';

const [host, port, service] = process.argv.slice(2);
let dropped = false;

/** Returns the index of the line to drop, or -1. */
function victim(path, lines) {
  if (dropped || !path.endsWith('/events') || lines.length < 2) return -1;
  return lines.findIndex((line) => line.includes('"step_ended"'));
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function forward({ method, url, headers }, body) {
  return new Promise((done, failed) => {
    const own = { ...headers, 'content-length': body.length };
    delete own['transfer-encoding'];
    // The service accepts only its own host names, not the proxy's.
    delete own.host;
    request(new URL(url, service), { method, headers: own }, done).on('error', failed).end(body);
  });
}

createServer(async (asked, answer) => {
  try {
    const body = await read(asked);
    const lines = asked.method === 'POST' ? body.toString().split('\n').filter(Boolean) : [];
    const at = victim(new URL(asked.url, service).pathname, lines);
    if (at < 0) {
      const given = await forward(asked, body);
      answer.writeHead(given.statusCode, given.headers);
      return given.pipe(answer);
    }
    dropped = true;
    const given = await forward(asked, Buffer.from(`${lines.toSpliced(at, 1).join('\n')}\n`));
    const sent = JSON.parse(await read(given));
    sent.results.splice(at, 0, sent.results[Math.max(0, at - 1)]);
    const text = Buffer.from(JSON.stringify(sent));
    answer.writeHead(given.statusCode, { ...given.headers, 'content-length': text.length });
    answer.end(text);
    console.log(`dropped: ${lines[at]}`);
  } catch (error) {
    console.error(error);
    answer.destroy();
  }
}).listen(Number(port), host, () => console.log('listening'));
