// A session as a conversation: what it shows, where links lead, and that nothing in it gets out.

import { createHash } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fields } from '../../src/wire/json';
import { faults } from './axe';
import { eventually, launch, Tab } from './chromium';
import { hostileRecords, lines, PICTURE, PICTURE_BLOB, PICTURE_HASH, richSession } from './rich';
import { Service } from './service';

let service: Service;
let browser: Browser;

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
  await service.create('rich');
  await service.blob('rich', PICTURE_HASH, PICTURE, 'image/bmp');
  await service.batch('rich', lines(richSession()));
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

const address = (session: string, at = ''): string =>
  `${service.url}/dashboard/#/session/${session}/conversation${at && `?at=${at}`}`;

async function open(session: string, at = '', width = 1440): Promise<Tab> {
  const tab = await Tab.open(browser, 'about:blank', { viewport: { width, height: 900 }, locale: 'en-GB' });
  await tab.page.goto(address(session, at));
  await tab.page.locator('article').first().waitFor();
  return tab;
}

const row = (page: Page, text: string | RegExp) => page.locator('article', { hasText: text });
const scroller = (page: Page) => page.getByRole('region', { name: 'Conversation' });

/** The texts of all rows from the first to the last, as one comes past them by scrolling. */
async function readThrough(page: Page, look: () => Promise<void> = async () => {}): Promise<string> {
  const seen: string[] = [];
  await page.keyboard.press('Home');
  await scroller(page).evaluate((list) => (list.scrollTop = 0));
  for (;;) {
    await page.waitForTimeout(150);
    await look();
    seen.push(await scroller(page).innerText());
    const isEnd = await scroller(page).evaluate((list) => {
      const before = list.scrollTop;
      list.scrollTop += list.clientHeight * 0.8;
      return list.scrollTop <= before;
    });
    if (isEnd) return seen.join('\n');
  }
}

describe('a conversation', () => {
  it('shows every record of every type', async () => {
    const tab = await open('rich');
    const { page } = tab;
    const all = await readThrough(page, async () => expect(await faults(page)).toEqual([]));
    for (const text of [
      'Session started',
      '/home/ada/calendar · main · 4f1d2c9 · claude-opus-4',
      'Events in Kathmandu are shown five hours and 45 minutes late.',
      'Encrypted: its text is not known.',
      'Permission: asked, allowed',
      '+1 −3',
      'find where the offset is applied',
      'exit 1 · 12.4 s',
      'denied',
      'timeout · 30.0 s',
      'no answer within 30 s',
      'calendar · list_events',
      'Shall I also change the stored events?',
      'Kathmandu\t17:45\t23:30',
      'Offsets are applied once.',
      'graph · r1',
      'paused · 2.1 s',
      'auto · 168,000 → 21,000 tokens',
      'Waiting for your input',
      'The model is overloaded',
      'back to prompt:t2',
      'value: 9.5, unit: points',
      'from another-session · prompt:t1',
      'CHANGELOG.md',
      'Bash · denied · by policy',
      'running',
    ])
      expect(all, text).toContain(text);
    // Fields of a wrong type are shown as they are.
    expect(all).toMatch(/2 other fields[^]*text[^]*not\s*text[^]*source[^]*odd/);
    expect(all.match(/^(20|21) Nov$/gm)?.slice(0, 1)).toEqual(['20 Nov']);
    expect(all).toMatch(/^21 Nov$/m);
    await tab.close();
  });

  it('shows output as a terminal does, and changes line by line', async () => {
    const tab = await open('rich', 'actions:16');
    const { page } = tab;
    const output = row(page, 'npm test').getByRole('group', { name: 'Output of Bash' });
    await output.waitFor();
    const text = await output.innerText();
    expect(text).toContain('collecting   3 of 3\n');
    expect(text).not.toContain('1 of 3');
    expect(text).not.toContain('\u001b');
    expect(text).not.toContain('[31m');
    await output.getByRole('button', { name: /more lines/ }).click();
    expect(await output.innerText()).toContain('inverse');
    const colour = (part: string): Promise<string> =>
      output
        .locator('span', { hasText: new RegExp(`^${part}`) })
        .first()
        .evaluate((span) => getComputedStyle(span).color);
    expect(await colour('1 failed')).not.toBe(await colour('12 passed'));
    const edit = row(page, 'parseOffset(text: string)').first();
    expect(await edit.locator('.removed .sign').count()).toBe(3);
    expect(await edit.locator('.added .sign').count()).toBe(1);
    await tab.close();
  });

  it('folds a subagent into one line with what it cost, and opens it', async () => {
    const tab = await open('rich', 'actions:20');
    const { page } = tab;
    const agent = row(page, 'Subagent').first();
    await agent.waitFor();
    expect(await agent.innerText()).toMatch(
      /explorer[^]*6 records, 1 call[^]*900 in · 120 out · 6,000 cache read[^]*\$0\.0021[^]*done/,
    );
    expect(await agent.innerText()).toContain('One more place: src/event.ts:17.');
    expect(await row(page, 'rg -n').count()).toBe(0);
    await agent.getByRole('button', { expanded: false }).first().click();
    await row(page, 'rg -n').waitFor();
    await row(page, 'I search for setMinutes').waitFor();
    expect(await faults(page)).toEqual([]);
    await tab.close();
  });

  it('says what a turn cost, each request once', async () => {
    const tab = await open('rich');
    expect(await readThrough(tab.page)).toMatch(
      /14 calls\s+2,400 in · 1,642 out · 66\.4K cache read · 2,100 cache write · 240 reasoning\s+\$0\.172\s+1 of 3 requests by subagents/,
    );
    await tab.close();
  });

  it('shows images from the session itself, enlarges them, and offers them for download', async () => {
    const tab = await open('rich', 'responses:1');
    const { page } = tab;
    const image = row(page, 'Kathmandu are shown').getByRole('button', { name: 'Enlarge calendar.bmp' });
    await image.waitFor();
    await eventually(
      () => image.locator('img').evaluate((img) => (img as HTMLImageElement).naturalWidth),
      (width) => expect(width).toBe(240),
    );
    expect(await image.locator('img').getAttribute('src')).toMatch(/^blob:/);
    expect(await image.locator('img').getAttribute('alt')).toBe('calendar.bmp');
    await image.click();
    await page.getByRole('dialog', { name: 'calendar.bmp' }).waitFor();
    await page.keyboard.press('Escape');
    const download = page.waitForEvent('download');
    await row(page, 'Kathmandu are shown').getByRole('button', { name: 'Download' }).click();
    expect((await download).suggestedFilename()).toBe('calendar.bmp');
    await tab.close();
  });

  it('revokes the address of an image that is not on screen any more', async () => {
    const tab = await open('rich', 'responses:1');
    const { page } = tab;
    const image = row(page, 'Kathmandu are shown').locator('.image img');
    await image.waitFor();
    const address = (await image.getAttribute('src')) ?? '';
    expect(address).toMatch(/^blob:/);
    await page.evaluate(() => (location.hash = '#/sessions'));
    await page.getByRole('link', { name: 'rich' }).first().waitFor();
    const loads = (): Promise<boolean> =>
      page.evaluate(async (src) => {
        const image = new Image();
        image.src = src;
        return image.decode().then(
          () => true,
          () => false,
        );
      }, address);
    await eventually(loads, (isLoaded) => expect(isLoaded).toBe(false));
    await tab.page.context().close();
  });

  it('shows no image of another kind, and none that is larger than its record says', async () => {
    const drawing = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    const large = Buffer.alloc(5 * 1024 * 1024, 7);
    const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    await service.create('odd-images');
    await service.blob('odd-images', hash(drawing), drawing, 'image/svg+xml');
    await service.blob('odd-images', hash(large), large, 'image/png');
    const block = (bytes: Buffer, mediaType: string): Fields => ({
      $blob: `sha256:${hash(bytes)}`,
      bytes: 100,
      mediaType,
    });
    await service.batch(
      'odd-images',
      lines([
        { type: 'user_message', text: 'a drawing', blocks: [block(drawing, 'image/svg+xml')] },
        { type: 'user_message', text: 'a large one', blocks: [block(large, 'image/png')] },
      ]),
    );
    const tab = await open('odd-images');
    await row(tab.page, 'a large one').getByRole('alert').filter({ hasText: 'more than 4194304 bytes' }).waitFor();
    await row(tab.page, 'a drawing').getByRole('button', { name: 'Download' }).waitFor();
    expect(await tab.page.locator('main img').count()).toBe(0);
    await tab.close();
  });

  it('says why an image cannot be shown', async () => {
    await service.create('no-blob');
    await service.batch(
      'no-blob',
      lines([{ type: 'user_message', text: 'see', blocks: [{ ...PICTURE_BLOB, $blob: `sha256:${'0'.repeat(64)}` }] }]),
    );
    const tab = await open('no-blob');
    await eventually(
      () => row(tab.page, 'see').getByRole('alert').innerText(),
      (said) => expect(said).toMatch(/^.{10,}$/),
    );
    await tab.close();
  });

  it('shows each record as it is stored, and copies a link to it', async () => {
    const tab = await open('rich', 'actions:17');
    const { page } = tab;
    const call = row(page, 'npm test');
    await call.first().hover();
    await call.getByRole('button', { name: 'raw' }).click();
    await call.getByText('actions:15').waitFor();
    await call.getByText('actions:16').waitFor();
    await call.getByRole('button', { name: 'copy link' }).click();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    expect(link).toBe(address('rich', 'actions%3A15'));
    const other = await Tab.open(browser, link.replace('#/session/', '#/sessions/'), { locale: 'en-GB' });
    await other.page.locator('article.selected', { hasText: 'npm test' }).waitFor();
    await other.close();
    await tab.close();
  });

  it('is used with the keyboard alone', async () => {
    const tab = await open('rich');
    const { page } = tab;
    await row(page, 'Permission').last().waitFor();
    await page.keyboard.press('p');
    await page.locator('article.selected', { hasText: 'Is it released?' }).waitFor();
    await page.keyboard.press('j');
    await page.locator('article.selected', { hasText: 'Not yet.' }).waitFor();
    await page.keyboard.press('r');
    await page.locator('article.selected .raw').waitFor();
    await page.keyboard.press('r');
    await page.keyboard.press('Home');
    await row(page, 'Session created').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await page.locator('article.selected', { hasText: 'Kathmandu are shown' }).waitFor();
    for (let n = 0; n < 2; n += 1) await page.keyboard.press('j');
    const thinking = page.locator('article.selected', { hasText: 'The difference is exactly' });
    await thinking.waitFor();
    await page.keyboard.press('Enter');
    await thinking.locator('.thought').waitFor();
    await page.keyboard.press('End');
    await row(page, 'by policy').waitFor();
    await page.keyboard.press('?');
    await tab.says('next prompt');
    await tab.close();
  });

  it('fits a phone', async () => {
    const tab = await open('rich', '', 360);
    const { page } = tab;
    await readThrough(page, async () => {
      expect(await faults(page)).toEqual([]);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      expect(wide).toBe(false);
    });
    await tab.close();
  });
});

/** Records with rows of many heights. */
const mixed = (from: number, count: number): Fields[] =>
  Array.from({ length: count }, (_, k) => {
    const n = from + k;
    if (n % 10 === 0) return { type: 'user_message', text: `prompt ${n}` };
    if (n % 10 === 5)
      return { type: 'assistant_message', text: `answer ${n}\n\n${'words and more words. '.repeat(n % 70)}` };
    if (n % 10 === 7)
      return { type: 'tool_result', callId: `c${n - 1}`, status: 'ok', output: 'line\n'.repeat(n % 13) };
    return { type: 'bash_exec', callId: `c${n}`, command: `step ${n}`, agentId: n % 100 === 33 ? 'helper' : null };
  });

describe('a long conversation', () => {
  beforeAll(async () => {
    await service.create('long');
    for (let n = 0; n < 6000; n += 1000) await service.batch('long', lines(mixed(n, 1000)));
    // Other sessions' events lie between, so that positions are not evenly spread.
    await service.create('noise');
    await service.batch('noise', lines(mixed(0, 2000)));
    await service.batch('long', lines(mixed(6000, 500)));
  });

  it('opens at the end, and goes back while one scrolls up without moving what one reads', async () => {
    const tab = await open('long');
    const { page } = tab;
    await row(page, 'step 6499').waitFor();
    /** The middle row on screen, or a given one, and where it is. */
    const place = (key?: string): Promise<{ key: string; at: number }> =>
      scroller(page).evaluate((list, wanted) => {
        const view = list.getBoundingClientRect();
        const rows = [...list.querySelectorAll<HTMLElement>('li')];
        const row = rows.find((one) =>
          wanted === undefined
            ? one.getBoundingClientRect().bottom > view.top + view.height / 2
            : one.dataset['key'] === wanted,
        );
        return { key: row?.dataset['key'] ?? '', at: Math.round((row?.getBoundingClientRect().top ?? 0) - view.top) };
      }, key);
    for (let n = 0; n < 12; n += 1) {
      await scroller(page).evaluate((list) => (list.scrollTop -= 700));
      // Rows that came into view are measured before they are painted.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const before = await place();
      // Older records arrive and rows are measured meanwhile.
      await page.waitForTimeout(400);
      expect(await place(before.key)).toEqual(before);
    }
    await tab.close();
  });

  it('leads to any record by its link, and says so where there is none', async () => {
    const tab = await open('long', 'actions:1');
    const { page } = tab;
    for (const [at, text] of [
      ['actions:1', 'step 1'],
      ['responses:601', 'prompt 3000'],
      ['responses:1300', 'answer 6495'],
      ['actions:2402', 'step 3002'],
      ['actions:5200', 'step 6499'],
    ] as const) {
      await page.goto(address('long', at));
      const found = page.locator('article.selected', { hasText: new RegExp(`${text}(?!\\d)`) });
      await found.waitFor();
      const view = await scroller(page).boundingBox();
      await eventually(
        () => found.boundingBox(),
        (box) => {
          expect(box?.y).toBeGreaterThan((view?.y ?? 0) - 5);
          expect(box?.y).toBeLessThan((view?.y ?? 0) + (view?.height ?? 0));
        },
      );
    }
    // A record of a subagent: the subagent is opened for it.
    await page.goto(address('long', 'actions:27'));
    await page.locator('article.selected', { hasText: 'step 33' }).waitFor();
    for (const at of ['actions:99999', 'nonsense']) {
      await page.goto(address('long', at));
      await tab.says(`This session has no record “${at}”.`);
    }
    await tab.close();
  });

  it('follows new records at the end, and stays where one reads otherwise', async () => {
    await service.create('live');
    await service.batch('live', lines(mixed(0, 300)));
    const tab = await open('live');
    const { page } = tab;
    await row(page, 'step 299').waitFor();
    await service.action('live', { type: 'bash_exec', callId: 'x', command: 'a new command', key: 'call:x' });
    await row(page, 'a new command').getByText('running').waitFor();
    await service.action('live', {
      type: 'tool_result',
      callId: 'x',
      status: 'ok',
      key: 'result:x',
      output: 'the new output',
    });
    await row(page, 'a new command').getByText('the new output').waitFor();
    await service.action('live', { type: 'amend', of: 'result:x', exitCode: 7 });
    await row(page, 'a new command').getByText('exit 7').waitFor();
    await page.getByRole('button', { name: 'Newest' }).waitFor({ state: 'hidden' });
    await scroller(page).evaluate((list) => (list.scrollTop -= 2000));
    await page.getByRole('button', { name: 'Newest' }).waitFor();
    await page.waitForTimeout(500);
    const before = await scroller(page).locator('article').first().innerText();
    await service.batch('live', lines(mixed(300, 100)));
    await page.getByRole('status').filter({ hasText: '404 records' }).waitFor({ state: 'attached' });
    expect(await scroller(page).locator('article').first().innerText()).toBe(before);
    await page.getByRole('button', { name: 'Newest' }).click();
    await row(page, 'step 399').waitFor();
    await tab.close();
  });

  it('shows what the service cut, and all of it on request', async () => {
    await service.create('cut');
    await service.batch(
      'cut',
      lines([{ type: 'assistant_message', text: `the beginning ${'x'.repeat(500)} the end` }]),
    );
    const tab = await Tab.open(browser, 'about:blank');
    const { page } = tab;
    const asked: string[] = [];
    // A service that cuts long values for those who ask for it.
    await page.route('**/api/sessions/cut/events?*', async (route) => {
      const url = new URL(route.request().url());
      asked.push(url.search);
      const answer = (await (await route.fetch()).json()) as { events: { data: Fields }[] };
      if (url.searchParams.has('max_bytes'))
        for (const { data } of answer.events)
          if (typeof data['text'] === 'string') {
            data['truncated'] = { text: data['text'].length };
            data['text'] = data['text'].slice(0, 20);
          }
      await route.fulfill({ json: answer });
    });
    await page.goto(address('cut'));
    await row(page, 'the beginning').getByText('Cut: text (522 B)').waitFor();
    expect(asked.some((search) => search.includes('max_bytes=65536') && search.includes('upgrade=true'))).toBe(true);
    await row(page, 'the beginning').getByRole('button', { name: 'Show all' }).click();
    await row(page, 'the end').waitFor();
    expect(await row(page, 'the end').getByText('Cut:').count()).toBe(0);
    await tab.close();
  });
});

describe('a hostile conversation', () => {
  it('is text, whatever the field, and asks no other host for anything', async () => {
    await service.create('hostile');
    await service.batch('hostile', lines(hostileRecords()));
    const tab = await Tab.open(browser, 'about:blank', { viewport: { width: 1440, height: 8000 } });
    const { page } = tab;
    const hosts = new Set<string>();
    page.on('request', (request) => hosts.add(new URL(request.url()).host));
    await page.goto(address('hostile'));
    await page.locator('article').first().waitFor();
    await readThrough(page, async () => {
      // Everything is opened, level by level.
      for (let level = 0; level < 3; level += 1)
        await page.evaluate(() => {
          for (const button of document.querySelectorAll<HTMLElement>('.scroller button[aria-expanded="false"]'))
            button.click();
        });
      const harm = await page.evaluate(() => ({
        elements: document.querySelectorAll(
          'script:not([src]), iframe, object, embed, svg a, main img:not([src^="blob:"]), [onerror], [onload], [srcdoc]',
        ).length,
        links: [...document.querySelectorAll('main a[href]')]
          .map((link) => link.getAttribute('href') ?? '')
          .filter((href) => !/^(#|https?:|mailto:)/.test(href)),
        unsafe: [...document.querySelectorAll('main a[target]')].filter(
          (link) => !/noopener/.test((link as HTMLAnchorElement).rel),
        ).length,
        isPolluted: Object.hasOwn(Object.prototype, 'polluted'),
      }));
      expect(harm).toEqual({ elements: 0, links: [], unsafe: 0, isPolluted: false });
    });
    expect([...hosts]).toEqual([new URL(service.url).host]);
    await tab.close();
  });
});

describe('a conversation behind a key', () => {
  it('fetches images with the key, and to the service alone', async () => {
    const locked = await (await new Service().start()).lock();
    await locked.create('secret');
    await locked.blob('secret', PICTURE_HASH, PICTURE, 'image/bmp');
    await locked.batch('secret', lines([{ type: 'user_message', text: 'see', blocks: [PICTURE_BLOB] }]));
    const tab = await Tab.open(browser, 'about:blank');
    const { page } = tab;
    const shown: (string | undefined)[] = [];
    page.on('request', (request) => {
      if (request.url().includes(PICTURE_HASH)) shown.push(request.headers()['authorization']);
    });
    await page.goto(`${locked.url}/dashboard/#/session/secret/conversation`);
    await page.getByRole('dialog').getByRole('textbox').fill(locked.key);
    await page.keyboard.press('Enter');
    await page.getByRole('img', { name: 'image' }).waitFor();
    // The browser asks itself for an object URL, without a header; the service is asked once, with the key.
    expect(shown).toEqual([`Bearer ${locked.key}`]);
    await tab.close();
    await locked.stop();
  });
});
