// Plays a package in headless Chromium and prints, as JSON, what a viewer would have seen. Judges nothing: the test in
// tests/tests/player/mod.rs knows what is right.
//
//   node run.mjs PACKAGE PLAYERS SHOTS
//
// PACKAGE is the folder with master.m3u8 and manifest.mpd, or the address of one that still grows; then each step is
// printed as soon as it is done. PLAYERS is the folder where `npm ci` put the players, SHOTS gets the screenshots.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Chromium } from './chromium.mjs';
import { serve } from './server.mjs';

// A step takes some seconds at most; what a page waits for itself has shorter limits, and says more.
const STEP_LIMIT = 240_000;
const [root, players, shots] = process.argv.slice(2);
const grows = root.startsWith('http:');
const STEPS = grows ? ['begin', 'follow'] : ['start', 'levels', 'sounds', 'texts', 'storyboard', 'play', 'file'];
const MANIFESTS = grows ? { hls: 'early.m3u8' } : { hls: 'master.m3u8', dash: 'manifest.mpd' };

mkdirSync(shots, { recursive: true });
const server = await serve({ package: root, players, page: join(import.meta.dirname ?? here(), 'page') });
const chromium = new Chromium(join(shots, 'chromium.log'));
try {
  // At the same time, each in a window of its own: most of it is waiting for the clock.
  const seen = Object.keys(MANIFESTS).map(async (player) => [player, await watch(player)]);
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(seen))));
} finally {
  chromium.kill();
  server.close();
}

/** `import.meta.dirname` came with Node 20.11. */
function here() {
  return new URL('.', import.meta.url).pathname;
}

async function watch(player) {
  const address = new URL('/page/index.html', server.origin);
  address.searchParams.set('player', player);
  address.searchParams.set('manifest', `/package/${MANIFESTS[player]}`);
  address.searchParams.set('storyboard', storyboard());
  // Once is enough: no player has a part in it.
  const file = player === 'hls' && existsSync(join(root, 'video.mp4'));
  address.searchParams.set('file', file ? '/package/video.mp4' : '');
  const page = await chromium.open(address.href);
  const seen = {};
  for (const step of STEPS) {
    const expression = `steps.${step}()`;
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await page.call('Runtime.evaluate', params, STEP_LIMIT);
    await shoot(page, `${player}-${step}`);
    if (exceptionDetails) {
      const why = exceptionDetails.exception?.description ?? exceptionDetails.text;
      throw new Error(`${player}, ${step}: ${why}\n${page.problems.join('\n')}`);
    }
    seen[step] = result.value;
    if (grows) console.log(JSON.stringify({ [step]: result.value }));
  }
  seen.problems = page.problems;
  await page.close();
  return seen;
}

/** Address of the storyboard's index, or nothing. No manifest names it: an application knows it by its place. */
function storyboard() {
  if (grows) return '';
  const found = readdirSync(root, { recursive: true }).find((path) => path.endsWith('images/storyboard.vtt'));
  return found ? `/package/${found}` : '';
}

async function shoot(page, name) {
  const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
  writeFileSync(join(shots, `${name}.png`), Buffer.from(data, 'base64'));
}
