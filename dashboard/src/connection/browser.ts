// The browser's implementation of `Surroundings`: a real WebSocket, clock and timers.

import { openWebSocket } from '../socket/socket';
import type { Surroundings } from './connection';

export function inBrowser(probe: Surroundings['probe']): Surroundings {
  return {
    open: openWebSocket,
    now: () => Date.now(),
    random: () => Math.random(),
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    probe,
  };
}
