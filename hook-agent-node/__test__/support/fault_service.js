'use strict';
// A service that stores in memory, implements the producer protocol, and fails on demand.

const { once } = require('node:events');
const http = require('node:http');

/** Faults that replace the normal answer; all except `close` and `answer` store the request first. */
const FAULTS = {
  hang: () => {},
  close: (req) => req.socket.destroy(),
  closeStored: (req) => req.socket.destroy(),
  halfAnswer: (req) => req.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"results":[{'),
  garbage: (req) => req.socket.end(Buffer.alloc(300, 7)),
  endless: (req) => {
    req.socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const more = () => {
      while (!req.socket.destroyed && req.socket.write(Buffer.alloc(65536, ' ')));
    };
    req.socket.on('drain', more);
    more();
  },
  late: (req, res, plain, fault) => setTimeout(() => send(res, plain), fault.ms),
  answer: (req, res, plain, fault) => send(res, { status: fault.status, headers: fault.headers, body: fault.body }),
};
const NOT_STORED = new Set(['close', 'answer']);

class FaultService {
  sessions = new Map();
  requests = [];
  /** One fault per request, in order; then `always`, if set. */
  faults = [];
  always;
  /** Exact answers, used before anything else. */
  scripted = [];
  #server;
  #port = 0;

  static async start(t) {
    const service = new FaultService();
    await service.up();
    t.after(() => service.down());
    return service;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async up() {
    this.#server = http.createServer((req, res) => this.#receive(req, res));
    this.#server.on('connection', (socket) => socket.on('error', () => {}));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
  }

  /** Refuses new connections and closes existing ones; stored records stay. */
  async down() {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** The `n` of each line of a session. */
  numbers(session) {
    const data = (this.sessions.get(session)?.lines ?? []).map((line) => line.data);
    return data.filter(({ type }) => type !== 'gap').map(({ n }) => n);
  }

  async #receive(req, res) {
    let body = '';
    try {
      for await (const chunk of req.setEncoding('utf8')) body += chunk;
    } catch {
      return; // the client disconnected in the middle of its request
    }
    this.requests.push({ method: req.method, path: req.url, headers: req.headers, body });
    const fault = this.faults.shift() ?? this.always;
    const stored = NOT_STORED.has(fault?.kind) ? undefined : (this.scripted.shift() ?? this.#store(req, body));
    if (fault === undefined) send(res, stored);
    else FAULTS[fault.kind](req, res, stored, fault);
  }

  #store(req, body) {
    if (req.url === '/health') return { status: 200, body: { status: 'ok' } };
    if (req.url === '/api/sessions') return { status: 200, body: { success: true } };
    const session = req.url.split('/')[3];
    if (req.method !== 'POST') return { status: 404, body: { error: 'no such route', code: 'not_found' } };
    if (!this.sessions.has(session)) this.sessions.set(session, { lines: [], producers: new Map() });
    return batch(this.sessions.get(session), req.headers, body);
  }
}

function batch(session, headers, body) {
  const [epoch, seq] = [Number(headers['producer-epoch']), Number(headers['producer-seq'])];
  const known = session.producers.get(headers['producer-id']);
  const next = known === undefined || epoch > known.epoch ? 0 : known.seq + 1;
  if (known !== undefined && epoch < known.epoch) {
    return { status: 403, headers: { 'producer-epoch': known.epoch }, body: {} };
  }
  if (seq > next) return { status: 409, headers: { 'producer-expected-seq': next }, body: {} };
  if (seq < next) return seq === known.seq ? known.answer : { status: 200, body: { success: true, duplicate: true } };
  const results = body.trimEnd().split('\n').map((line) => apply(session, JSON.parse(line)));
  const answer = { status: 200, body: { results, offset: session.lines.length } };
  session.producers.set(headers['producer-id'], { epoch, seq, answer });
  return answer;
}

function apply(session, line) {
  if (line.type === 'goal_update' && line.data.goalId === 'unknown') {
    return { error: 'goal `unknown` not found', code: 'goal_not_found' };
  }
  session.lines.push(line);
  return { success: true, seq: session.lines.length };
}

function send(res, { status, headers = {}, body }) {
  res.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
}

module.exports = { FaultService };
