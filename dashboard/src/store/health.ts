// Health of the service: requested every few seconds while a view watches it.

import type { Api } from '../api/api';
import { ApiError } from '../api/error';
import type { Health } from '../wire/session';
import { Painted } from './paint.svelte';

const EVERY_MS = 3000;

export class HealthStore {
  readonly painted = new Painted();
  health: Health | null = null;
  error = '';
  #timer: ReturnType<typeof setTimeout> | null = null;
  #watchers = 0;

  constructor(private readonly api: Api) {}

  /** Requests the health regularly until the returned function is called. */
  watch(): () => void {
    this.#watchers += 1;
    if (this.#watchers === 1) void this.#ask();
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0 && this.#timer) clearTimeout(this.#timer);
    };
  }

  async #ask(): Promise<void> {
    try {
      this.health = await this.api.health();
      this.error = '';
    } catch (error) {
      this.error = error instanceof ApiError ? error.message : String(error);
    }
    this.painted.changed();
    if (this.#watchers > 0) this.#timer = setTimeout(() => void this.#ask(), EVERY_MS);
  }
}
