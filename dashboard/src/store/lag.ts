// Whether a connection that has gone quiet still bears what it should: what the service says of itself is compared
// with what has come.

import type { Api } from '../api/api';
import type { Position } from '../connection/position';

/** A connection whose position stays behind the service's for this many questions has lost its events. */
const BEHIND = 2;

export class Lag {
  #behind = 0;

  constructor(private readonly api: Pick<Api, 'health' | 'hasAfter'>) {}

  /** Whether the connection that stands at a position is to be kept. */
  async isAlive(position: Position | null): Promise<boolean> {
    try {
      const { storage } = await this.api.health();
      this.#behind = (await this.#isBehind(position, storage)) ? this.#behind + 1 : 0;
      return this.#behind < BEHIND;
    } catch {
      // Not well: the connection is made anew, and says so.
      return false;
    }
  }

  /** A key for some sessions is not told how far all of them are: it asks for what it may see. */
  async #isBehind(position: Position | null, storage: Position | undefined): Promise<boolean> {
    if (position === null) return false;
    if (storage) return storage.epoch === position.epoch && storage.offset > position.offset;
    return this.api.hasAfter(position).catch(() => false);
  }
}
