// Light or dark theme: the system's preference, unless the user chooses one.

export type Choice = 'system' | 'light' | 'dark';
const SETTING = 'theme';

const dark = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  choice = $state<Choice>(read());
  #system = $state(dark.matches);

  constructor() {
    dark.addEventListener('change', () => (this.#system = dark.matches));
    this.#show();
  }

  get isDark(): boolean {
    return this.choice === 'system' ? this.#system : this.choice === 'dark';
  }

  /** Switches to the other theme; if that is the system's preference, the system is followed again. */
  toggle(): void {
    const wanted = this.isDark ? 'light' : 'dark';
    this.choice = (wanted === 'dark') === this.#system ? 'system' : wanted;
    if (this.choice === 'system') localStorage.removeItem(SETTING);
    else localStorage.setItem(SETTING, this.choice);
    this.#show();
  }

  #show(): void {
    if (this.choice === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.choice;
  }
}

function read(): Choice {
  const kept = localStorage.getItem(SETTING);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export const theme = new Theme();
