// Takes the README's pictures of the dashboard with a real Chromium.
//
//   node pictures.mjs PAGE FOLDER SESSION AT_WORK...
//
// SESSION is the session whose conversation, timeline and agents are shown. The pictures of the live view wait until it shows each
// session AT_WORK. The files are FOLDER/VIEW-WIDTH-THEME.png. BOTH_THEMES and CHROMIUM: see pictures.sh.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const [page, folder, session, ...atWork] = process.argv.slice(2);
const dashboard = join(import.meta.dirname, '../dashboard/package.json');
const { chromium } = createRequire(dashboard)('playwright-core');
const WIDTH = 1440;
const PICTURES = [
  ['live', 'live', 'light'],
  ['sessions', 'sessions', 'dark'],
  ['conversation', `session/${session}/conversation`, 'light'],
  ['timeline', `session/${session}/timeline`, 'light'],
  ['agents', `session/${session}/agents`, 'dark'],
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});

async function picture(name, view, colorScheme) {
  const tab = await browser.newPage({ viewport: { width: WIDTH, height: 860 }, colorScheme });
  tab.setDefaultTimeout(60_000);
  await tab.goto(`${page}#/${view}`);
  await tab.getByRole('status').filter({ hasText: /^connected$/ }).waitFor();
  if (name === 'live') for (const id of atWork) await tab.locator('.record', { hasText: id }).nth(8).waitFor();
  if (name === 'conversation') await tab.locator('article').first().waitFor();
  await tab.waitForTimeout(1000);
  await tab.screenshot({ path: join(folder, `${name}-${WIDTH}-${colorScheme}.png`) });
  await tab.close();
}

try {
  for (const [name, view, theme] of PICTURES) {
    for (const colorScheme of process.env.BOTH_THEMES ? ['light', 'dark'] : [theme]) await picture(name, view, colorScheme);
  }
} finally {
  await browser.close();
}
