// Health of the service: requested every few seconds while a view watches it.

import type { Api } from '../api/api';
import { messageOf } from '../api/error';
import type { Health } from '../wire/session';
import { Painted } from './paint.svelte';

const EVERY_MS = 3000;

export class HealthStore {
  readonly painted = new Painted();
  health: Health | null = null;
  error = '';
  #timer: ReturnType<typeof setTimeout> | null = null;
  #watchers = 0;
  /** Number of polls started; all but the newest have ended, also if their request is still in progress. */
  #polls = 0;

  constructor(private readonly api: Api) {}

  /** Requests the health regularly until the returned function is called. */
  watch(): () => void {
    this.#watchers += 1;
    if (this.#watchers === 1) void this.#poll(++this.#polls);
    return () => {
      this.#watchers -= 1;
      if (this.#watchers > 0) return;
      this.#polls += 1;
      if (this.#timer) clearTimeout(this.#timer);
    };
  }

  async #poll(poll: number): Promise<void> {
    const found = await this.api.health().then(
      (health) => ({ health, error: '' }),
      (error: unknown) => ({ health: this.health, error: messageOf(error) }),
    );
    if (poll !== this.#polls) return;
    [this.health, this.error] = [found.health, found.error];
    this.painted.changed();
    this.#timer = setTimeout(() => void this.#poll(poll), EVERY_MS);
  }
}
