// Checks whether a connection that has gone quiet still delivers events: compares the position that the
// service reports with the position of the connection.

import type { Api } from '../api/api';
import type { Position } from '../connection/position';

/** After this many checks in a row behind the service, a connection is considered to have lost its events. */
const BEHIND = 2;

export class Lag {
  #behind = 0;

  constructor(private readonly api: Pick<Api, 'health' | 'hasAfter'>) {}

  /** Whether to keep a connection that is at this position. */
  async isAlive(position: Position | null): Promise<boolean> {
    try {
      const { storage } = await this.api.health();
      this.#behind = (await this.#isBehind(position, storage)) ? this.#behind + 1 : 0;
      return this.#behind < BEHIND;
    } catch {
      // The service is not healthy: reconnect, which also shows the problem.
      return false;
    }
  }

  /**
   * Whether the connection is behind the service. A key for some sessions does not receive the position of
   * the whole service, so this asks for the next event that the key may read.
   */
  async #isBehind(position: Position | null, storage: Position | undefined): Promise<boolean> {
    if (position === null) return false;
    if (storage) return storage.epoch === position.epoch && storage.offset > position.offset;
    return this.api.hasAfter(position).catch(() => false);
  }
}
