// A deterministic stand-in for the Messages API: same request, same answer, no network.
//
//   node server.mjs [PORT]      prints `listening http://127.0.0.1:PORT` when it is ready; port 0 takes a free one
//
// `MODEL_LATENCY_MS` is how long it waits before each response (default 0).
//
// The content of the responses is in scenarios.mjs, their format in stream.mjs. The CLI's other requests are answered
// as the API would: a token count for count_tokens, a JSON error with 404 for the rest.

import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { turnFor } from './scenarios.mjs';
import { message, writeStream } from './stream.mjs';

const MAX_BODY = 64 * 1024 * 1024;
const LATENCY_MS = Number(process.env.MODEL_LATENCY_MS ?? 0);

async function readBody(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error(`a body of more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function json(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function failure(response, status, type, text) {
  json(response, status, { type: 'error', error: { type, message: text } });
}

async function messages(request, response) {
  const asked = JSON.parse(await readBody(request));
  const turn = turnFor(asked.messages);
  await setTimeout(LATENCY_MS);
  if (turn.status) return failure(response, turn.status, 'invalid_request_error', turn.text);
  if (!asked.stream) return json(response, 200, message(asked.model, turn));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  await writeStream(response, asked.model, turn);
}

async function countTokens(request, response) {
  json(response, 200, { input_tokens: Math.ceil((await readBody(request)).length / 4) });
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://stub');
  const post = request.method === 'POST';
  if (post && pathname === '/v1/messages') return messages(request, response);
  if (post && pathname === '/v1/messages/count_tokens') return countTokens(request, response);
  await readBody(request);
  if (pathname === '/' || pathname === '/health') return json(response, 200, { status: 'ok' });
  failure(response, 404, 'not_found_error', `no such route: ${request.method} ${pathname}`);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(`stub: ${request.method} ${request.url}: ${error.message}`);
    if (!response.headersSent) failure(response, 400, 'invalid_request_error', error.message);
    else response.destroy(error);
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`listening http://127.0.0.1:${server.address().port}`);
});
