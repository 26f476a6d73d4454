// What the service lets this tab do: whether a key is asked for, and why.

import type { Api } from '../api/api';
import { ApiError } from '../api/error';
import { isKey } from '../api/key';
import { Painted } from './paint.svelte';

const AGAIN_MS = 2000;

export class AccessStore {
  readonly painted = new Painted();
  /** Why a key is asked for now; null: none is. */
  asked: string | null = null;
  /** The service has refused what this tab shows, or that it shows nothing. */
  locked = false;
  /** Another key counts: what was known of the service was known by the earlier one. */
  onChange: () => void = () => {};

  constructor(readonly api: Api) {
    api.asker.onUnauthorized = (error) => this.#refused(error);
  }

  /** What may be shown of the key; '' if there is none. */
  get label(): string {
    return this.api.asker.key.label;
  }

  /** Tries a key; answers why it is of no use, or '' and everything begins anew with it. */
  async use(text: string): Promise<string> {
    if (!isKey(text)) return 'A key or token has letters, digits and signs, and no blanks.';
    try {
      await this.api.check(text);
    } catch (error) {
      return whyNot(error);
    }
    this.api.asker.key.keep(text);
    this.#begin();
    return '';
  }

  forget(): void {
    this.api.asker.key.forget();
    this.#begin();
  }

  /** Asks for a key, since somebody wants to give one. */
  ask(): void {
    this.asked ??= '';
    this.painted.changed();
  }

  /** Nobody wants to give one now. */
  close(): void {
    this.asked = null;
    this.painted.changed();
  }

  /** A stream has ended with its key: the service is asked why. Calls back if it lets this tab in all the same. */
  async ended(again: () => void): Promise<void> {
    if (this.locked) return;
    try {
      await this.api.sessions(1, null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    setTimeout(again, AGAIN_MS);
  }

  #begin(): void {
    [this.asked, this.locked] = [null, false];
    this.painted.changed();
    this.onChange();
  }

  /** Asks once; who has closed the question is not asked again for each refusal that follows. */
  #refused(error: ApiError): void {
    const { key } = this.api.asker;
    if (this.locked && key.text === null) return;
    this.asked = key.text === null ? '' : sentence(error);
    this.locked = true;
    key.forget();
    this.painted.changed();
  }
}

/** What somebody reads who has given a key that is of no use. */
function whyNot(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 403) return `The key is good and may not look: ${error.message}.`;
  return sentence(error);
}

function sentence({ message }: ApiError): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return text.endsWith('.') ? text : `${text}.`;
}
