// Checks sessions in the dashboard with a real Chromium, then waits for a live update.
//
//   node dashboard.mjs PAGE SERVICE LIVE_SESSION WATCHING SESSION...
//
// Every SESSION must be in the list, and its own view must show its id, its final status and the last record of each
// log. Then the script creates the file WATCHING: from then on an event of LIVE_SESSION must appear in the live view,
// without a reload. CHROMIUM names the browser. If anything is missing or the page reports an error, the script prints
// what it saw and exits with 1.

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [page, service, live, watching, ...sessions] = process.argv.slice(2);
const dashboard = join(import.meta.dirname, '../../dashboard/package.json');
const { chromium } = createRequire(dashboard)('playwright-core');
const DEADLINE_MS = 60_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
const tab = await browser.newPage({ viewport: { width: 1440, height: 900 } });
tab.setDefaultTimeout(DEADLINE_MS);
const problems = [];
let loads = 0;
tab.on('pageerror', (error) => problems.push(String(error.stack ?? error)));
tab.on('console', (message) => {
  if (message.type() === 'error') problems.push(message.text());
});
tab.on('load', () => (loads += 1));

const says = (text) => tab.getByText(text).filter({ visible: true }).first().waitFor();

async function shows(session) {
  const stored = await (await fetch(`${service}/api/sessions/${session}`)).json();
  await tab.goto(`${page}#/sessions`);
  await tab.getByRole('link', { name: session }).first().click();
  await tab.locator('h1', { hasText: session }).waitFor();
  for (const log of ['actions', 'responses']) {
    const last = stored[log].at(-1);
    await tab.goto(`${page}#/session/${session}/${log}?rows=all`);
    await tab.locator('.record', { hasText: String(last.seq) }).last().waitFor();
    console.log(`${session}: ${log} up to ${last.seq}`);
  }
  await says(stored.final?.status ?? /^(active now|open)$/);
}

try {
  await tab.goto(`${page}#/sessions`);
  await says('connected');
  for (const session of sessions) await shows(session);
  await tab.goto(`${page}#/live`);
  await says('connected');
  await tab.getByLabel('Filter by session').fill(live);
  const before = [await tab.locator('.record').count(), loads];
  if (before[0] !== 0) throw new Error(`${live} had events before it began`);
  writeFileSync(watching, '');
  await tab.locator('.record').first().waitFor();
  if (loads !== before[1]) throw new Error('the page was loaded anew');
  console.log(`${live}: ${await tab.locator('.record .text').first().innerText()}`);
  if (problems.length) throw new Error(`the page complained: ${problems.join('\n')}`);
} catch (error) {
  console.error(error.message);
  console.error(problems.join('\n'));
  console.error(`${tab.url()} showed:\n${await tab.locator('body').innerText().catch(() => '(nothing)')}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
