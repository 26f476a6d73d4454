// The keyboard: each view says which keys it knows, and the help shows just these.

import { untrack } from 'svelte';

export interface Binding {
  /** As in KeyboardEvent.key. */
  key: string;
  does: string;
  run: () => void;
  /** Also while one types; only for Escape and the like. */
  typing?: boolean;
  /** Shown under this name, e.g. '↓ or j'; '' hides it. */
  shown?: string;
}

class Keyboard {
  groups = $state.raw<{ name: string; bindings: Binding[] }[]>([]);

  constructor() {
    addEventListener('keydown', (event) => this.#press(event));
  }

  /** Adds a view's keys until the answer is called; the latest comes first. */
  add(name: string, bindings: Binding[]): () => void {
    const group = { name, bindings };
    // Whoever adds keys does not depend on the others'.
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
