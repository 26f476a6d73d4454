// A proxy between browser and service, so that a test can break the connection.

import { connect, createServer, type Server, type Socket } from 'node:net';

export class Proxy {
  port = 0;
  #server: Server;
  #sockets = new Set<Socket>();
  #closed = false;

  constructor(target: () => number) {
    this.#server = createServer((client) => {
      if (this.#closed) return void client.destroy();
      const upstream = connect(target(), '127.0.0.1');
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
      }
      client
        .on('error', () => upstream.destroy())
        .on('close', () => upstream.destroy())
        .pipe(upstream);
      upstream
        .on('error', () => client.destroy())
        .on('close', () => client.destroy())
        .pipe(client);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  /** Closes every connection and accepts none until `mend` is called. */
  cut(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#closed = false;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
}
