// A real Chromium, and pages that collect their errors.

import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect } from 'vitest';

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-precise-memory-info',
  '--js-flags=--expose-gc',
];

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ARGS,
    // A busy machine may need longer than the half minute that is the default.
    timeout: 120_000,
  });
}

/** Messages that the browser itself logs when the service is down or refuses a request. */
const AWAY =
  /ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET)|WebSocket connection to .* failed|Failed to load resource: (net::|the server responded with a status of (40[0134]|429))/;

export class Tab {
  readonly problems: string[] = [];

  private constructor(readonly page: Page) {
    page.on('pageerror', (error) => this.problems.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !AWAY.test(message.text()))
        this.problems.push(message.text());
    });
    page.on('dialog', (dialog) => {
      this.problems.push(`a dialog said ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      colorScheme: 'light',
      timezoneId: 'Europe/Berlin',
      ...options,
    });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const tab = new Tab(await context.newPage());
    tab.page.setDefaultTimeout(45_000);
    tab.page.setDefaultNavigationTimeout(120_000);
    await tab.page.goto(url);
    return tab;
  }

  /** Closes the page and checks that no errors occurred in it. */
  async close(): Promise<void> {
    await this.page.context().close();
    expect(this.problems).toEqual([]);
  }

  /** The texts of the records on screen, top to bottom. */
  records(): Promise<string[]> {
    return this.page.locator('.record .text').allInnerTexts();
  }

  /** Returns the texts of the records on screen once scrolling has ended. */
  async stillRecords(): Promise<string[]> {
    let still: string[] = [];
    const look = async (): Promise<[string[], string[]]> => {
      const before = await this.records();
      await this.page.waitForTimeout(300);
      return [before, await this.records()];
    };
    await eventually(look, ([before, after]) => {
      expect(after).toEqual(before);
      still = after;
    });
    return still;
  }

  async says(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }
}

/** Waits until `holds` passes; after the deadline it throws the last failure. */
export async function eventually<T>(look: () => Promise<T>, holds: (seen: T) => void, ms = 45_000): Promise<void> {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look();
    try {
      return holds(seen);
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}
