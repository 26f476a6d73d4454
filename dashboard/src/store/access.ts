// Access of this tab to the service: whether the page asks for a key, and why.

import type { Api } from '../api/api';
import { ApiError, FOREIGN, RETRY_MS } from '../api/error';
import { isKey } from '../api/key';
import { Painted } from './paint.svelte';

export class AccessStore {
  readonly painted = new Painted();
  /** Why the page asks for a key now; null if it does not ask. */
  asked: string | null = null;
  /** The service has rejected this tab's key, or its requests without a key. */
  locked = false;
  /** Called when another key is in use: everything known about the service was read with the earlier one. */
  onChange: () => void = () => {};

  constructor(readonly api: Api) {
    api.asker.onUnauthorized = (error) => this.#refused(error);
  }

  /** Text that identifies the key and may be shown; '' if there is no key. */
  get label(): string {
    return this.api.asker.key.label;
  }

  /** Tries a key. Returns why it was rejected, or '' after storing it, which reloads everything. */
  async use(text: string): Promise<string> {
    if (!isKey(text)) return 'A key or token consists of letters, digits and punctuation, without spaces.';
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

  /** Asks for a key because the user wants to enter one. */
  ask(): void {
    this.asked ??= '';
    this.painted.changed();
  }

  /** Stops asking: the user does not want to enter a key now. */
  close(): void {
    this.asked = null;
    this.painted.changed();
  }

  /**
   * Handles a stream that ended with its key: asks the service why, and calls `again` unless it answers 401.
   */
  async ended(again: () => void): Promise<void> {
    if (this.locked) return;
    try {
      await this.api.sessions(1, null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    setTimeout(again, RETRY_MS);
  }

  #begin(): void {
    [this.asked, this.locked] = [null, false];
    this.painted.changed();
    this.onChange();
  }

  /** Asks for a key once: when the user has closed the dialog, further refusals do not open it again. */
  #refused(error: ApiError): void {
    const { key } = this.api.asker;
    if (this.locked && key.text === null) return;
    this.asked = key.text === null ? '' : sentence(error);
    this.locked = true;
    key.forget();
    this.painted.changed();
  }
}

/** The message for a user whose key was rejected. */
function whyNot(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 403 && error.code !== FOREIGN)
    return `The key is valid but has no read access: ${error.message}.`;
  return sentence(error);
}

function sentence({ message }: ApiError): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return text.endsWith('.') ? text : `${text}.`;
}
