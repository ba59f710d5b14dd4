// How a page of the console keeps itself current, in headless Chromium: the console's own scripts on pages of this file,
// which change when the steps say so. Prints what was seen, one line of JSON; the test in tests/tests/console knows what
// is right.
//
//   node live.mjs SCRIPTS SHOTS
//
// SCRIPTS is the folder of console.js and player.js; SHOTS gets the browser's log.

import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';

import { Chromium } from './chromium.mjs';

const [scripts, shots] = process.argv.slice(2);
const LIMIT = 60_000;

const film = (early) =>
  `<div class="screen"><video ${early ? 'data-early' : ''}></video></div><p class="controls"><span class="engine"></span></p>`;
/** A job that works, and the same job at rest: a page that is asked for no more. */
const PAGES = {
  works: `<body data-poll="0.05"><h1>film</h1><p id="head" data-live data-state="running">It runs.</p>
    <p id="later" data-live></p><section id="player">${film(true)}</section><p id="news"></p></body>`,
  rests: `<body><h1>film</h1><p id="head" data-live data-state="succeeded">It is done.</p>
    <p id="later" data-live>Five renditions.</p><section id="player">${film(false)}</section><p id="news"></p></body>`,
};

let state = 'works';
let asked = 0;
const server = createServer(({ url }, response) => {
  if (url.startsWith('/assets/')) {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(join(scripts, basename(url))));
    return;
  }
  asked += url === '/job' ? 1 : 0;
  const head = '<meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/assets/console.js"></script>';
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><head>${head}<title>${state}</title></head>${PAGES[state]}`);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `http://127.0.0.1:${server.address().port}/job`;

mkdirSync(shots, { recursive: true });
const chromium = new Chromium(join(shots, 'live.log'));
try {
  console.log(JSON.stringify({ untouched: await untouched(), watched: await watched() }));
} finally {
  chromium.kill();
  server.close();
}

/** Somebody selects a sentence while the job ends, and lets it go later. */
async function untouched() {
  state = 'works';
  const page = await tab();
  await page.value(`getSelection().selectAllChildren(document.getElementById('head'))`);
  state = 'rests';
  await page.until(`document.getElementById('later').textContent`);
  const before = asked;
  await until(() => asked > before + 2, 'it is asked on, while a part of it is old');
  const selected = await page.value(`document.getElementById('head').textContent`);
  await page.value(`getSelection().removeAllRanges()`);
  await page.until(`document.getElementById('head').textContent === 'It is done.'`);
  const seen = await page.value(`({ news: document.getElementById('news').textContent, title: document.title,
    early: 'early' in document.querySelector('video').dataset })`);
  await page.close();
  return { selected, ...seen };
}

/** Somebody watches what is ready early while the job ends. */
async function watched() {
  state = 'works';
  const page = await tab();
  await page.value(`(() => { const video = document.querySelector('video');
    Object.defineProperty(video, 'currentTime', { value: 3 }); })()`);
  state = 'rests';
  await page.until(`document.querySelector('.whole')`);
  const early = await page.value(`'early' in document.querySelector('video').dataset`);
  await page.value(`document.querySelector('.whole').click()`);
  const seen = await page.value(`({ now: 'early' in document.querySelector('video').dataset,
    videos: document.querySelectorAll('video').length, buttons: document.querySelectorAll('.whole').length })`);
  await page.value(`document.querySelector('video').dispatchEvent(new Event('loadedmetadata'))`);
  const from = await page.value(`document.querySelector('video').currentTime`);
  await page.close();
  return { early, from, ...seen };
}

async function tab() {
  const page = await chromium.open(address);
  const value = async (expression) => {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails: wrong } = await page.call('Runtime.evaluate', params);
    if (wrong) throw new Error(`${expression}: ${wrong.exception?.description ?? wrong.text}`);
    return result.value;
  };
  const shown = (expression) => until(() => value(`Boolean(${expression})`), expression);
  return { ...page, value, until: shown };
}

async function until(probe, what) {
  const end = Date.now() + LIMIT;
  while (!(await probe())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${LIMIT} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
