// Keyboard shortcuts: each view registers its keys, and the help shows exactly these.

import { untrack } from 'svelte';

export interface Binding {
  /** The value of `KeyboardEvent.key`. */
  key: string;
  does: string;
  run: () => void;
  /** Also active while the user types in a field; only for Escape and similar keys. */
  typing?: boolean;
  /** Text for the help, e.g. '↓ or j'; '' hides the key. */
  shown?: string;
}

class Keyboard {
  groups = $state.raw<{ name: string; bindings: Binding[] }[]>([]);

  constructor() {
    addEventListener('keydown', (event) => this.#press(event));
  }

  /** Adds a view's keys until the returned function is called; the latest group has priority. */
  add(name: string, bindings: Binding[]): () => void {
    const group = { name, bindings };
    // A component that adds keys must not depend on the keys of others.
    untrack(() => (this.groups = [group, ...this.groups]));
    return () => (this.groups = this.groups.filter((other) => other !== group));
  }

  #press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = isField(event.target);
    if (document.querySelector('dialog[open]')) return;
    for (const { bindings } of this.groups) {
      const binding = bindings.find((known) => known.key === event.key && (!typing || known.typing));
      if (!binding || ((event.key === 'Enter' || event.key === ' ') && isControl(event.target))) continue;
      event.preventDefault();
      binding.run();
      return;
    }
  }
}

function isField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable)
  );
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(A|BUTTON|SUMMARY)$/.test(target.tagName);
}

export const keyboard = new Keyboard();
