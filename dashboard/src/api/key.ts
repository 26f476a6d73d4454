// The key or token sent to a service: stored for this tab only, gone when it closes, and never part of a URL.

/** Where a key is stored: the tab's session storage, or nowhere (null) if the browser refuses that. */
export type Keeping = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** The key for one service, stored under the service's URL, so that `?api=` cannot send it to another. */
export class Key {
  #text: string | null;
  readonly #name: string;

  constructor(
    service: URL,
    private readonly keeping: Keeping | null,
  ) {
    this.#name = `key ${service.href}`;
    this.#text = keeping?.getItem(this.#name) ?? null;
  }

  get text(): string | null {
    return this.#text;
  }

  keep(text: string): void {
    this.#text = text;
    this.keeping?.setItem(this.#name, text);
  }

  forget(): void {
    this.#text = null;
    this.keeping?.removeItem(this.#name);
  }

  /** Text that identifies the key and may be shown: the key's id is not secret. */
  get label(): string {
    if (this.#text === null) return '';
    const id = /^ssk_([0-9a-f]+)_/.exec(this.#text)?.[1];
    return id ? `key ${id}` : 'a session token';
  }
}

/** Whether a text could be a key or token; an HTTP header cannot contain anything else. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]{1,2048}$/.test(text);
}

/** The tab's session storage; null if the browser refuses access. */
export function tabStorage(): Keeping | null {
  try {
    return sessionStorage;
  } catch {
    // Blocked by a browser setting: the key is then kept in memory only.
    return null;
  }
}
