// A WebSocket, as small as it is needed, so that a test can be one.

export interface SocketHandlers {
  message(text: string): void;
  /** The socket is gone, or never was: told once. */
  closed(code: number): void;
}

export interface Socket {
  close(): void;
}

export type OpenSocket = (url: string, handlers: SocketHandlers) => Socket;

/** A real one. After `close` nothing is told any more. */
export const openWebSocket: OpenSocket = (url, handlers) => {
  const socket = new WebSocket(url);
  let told = false;
  const closed = (code: number): void => {
    if (told) return;
    told = true;
    handlers.closed(code);
  };
  socket.onmessage = (message) => {
    if (!told) handlers.message(String(message.data));
  };
  socket.onclose = (close) => closed(close.code);
  return {
    close() {
      told = true;
      socket.close();
    },
  };
};
