// The key or token that is shown to a service: this tab's alone, gone with it, and never part of an address.

/** What a key is kept in: the tab's own storage, or nothing where the browser refuses that. */
export type Keeping = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** A key for one service. It is kept under the service's address, so that `?api=` cannot lead it elsewhere. */
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

  /** What may be shown of it: a key's id, which is no secret. */
  get label(): string {
    if (this.#text === null) return '';
    const id = /^ssk_([0-9a-f]+)_/.exec(this.#text)?.[1];
    return id ? `key ${id}` : 'a session token';
  }
}

/** What could be a key or token at all; a header can bear nothing else. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]{1,2048}$/.test(text);
}

/** The tab's storage, which a browser may refuse. */
export function tabStorage(): Keeping | null {
  try {
    return sessionStorage;
  } catch {
    // Blocked by a setting of the browser: the key is then in memory alone.
    return null;
  }
}
