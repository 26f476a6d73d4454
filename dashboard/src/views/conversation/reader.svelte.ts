// State of the reader of a conversation: opened parts, and records that were fetched in full.

import { getContext, setContext } from 'svelte';
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { Api } from '../../api/api';
import { messageOf } from '../../api/error';
import { nameOf, type Entry } from '../../store/conversation/entry';
import type { ConversationStore } from '../../store/conversation/store';
import { sessionHref } from '../../shell/route.svelte';

const KEY = Symbol('reader');

export class Reader {
  /** Parts that are not as they are at first: opened or closed by the reader. */
  #turned = new SvelteSet<string>();
  /** Why a record could not be fetched in full. */
  #failed = new SvelteMap<number, string>();
  #fetching = new SvelteSet<number>();
  /** Whether the session has ended: a call without a result will not get one any more. */
  ended = $state(false);

  constructor(
    readonly api: Api,
    readonly session: string,
    readonly store: ConversationStore,
  ) {
    setContext(KEY, this);
  }

  static get here(): Reader {
    return getContext<Reader>(KEY);
  }

  isOpen(part: string, atFirst = false): boolean {
    return this.#turned.has(part) !== atFirst;
  }

  turn(part: string): void {
    if (!this.#turned.delete(part)) this.#turned.add(part);
  }

  isWhole({ offset }: Entry): boolean {
    return this.store.whole.has(offset);
  }

  /** Fetches what was cut from a record. */
  async fetchWhole(entry: Entry): Promise<void> {
    const { offset } = entry;
    if (this.#fetching.has(offset)) return;
    this.#fetching.add(offset);
    this.#failed.delete(offset);
    try {
      await this.store.fetchWhole(entry);
    } catch (error) {
      this.#failed.set(offset, messageOf(error));
    } finally {
      this.#fetching.delete(offset);
    }
  }

  isFetching({ offset }: Entry): boolean {
    return this.#fetching.has(offset);
  }

  failure({ offset }: Entry): string {
    return this.#failed.get(offset) ?? '';
  }

  /** The address of a record, for others. */
  linkTo(entry: Entry): string {
    return new URL(sessionHref(this.session, 'conversation', { at: nameOf(entry) }), location.href).href;
  }
}
