// A minimal WebSocket interface, so that tests can provide their own.

export interface SocketHandlers {
  message(text: string): void;
  /** The socket is closed, or could not be opened: called once. */
  closed(code: number): void;
}

export interface Socket {
  close(): void;
}

export type OpenSocket = (url: string, handlers: SocketHandlers) => Socket;

/** Opens a real WebSocket. After `close` no handler is called. */
export const openWebSocket: OpenSocket = (url, handlers) => {
  const socket = new WebSocket(url);
  let isClosed = false;
  const closed = (code: number): void => {
    if (isClosed) return;
    isClosed = true;
    handlers.closed(code);
  };
  socket.onmessage = (message) => {
    if (!isClosed) handlers.message(String(message.data));
  };
  socket.onclose = (close) => closed(close.code);
  return {
    close() {
      isClosed = true;
      socket.close();
    },
  };
};
