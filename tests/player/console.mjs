// Uses the console in headless Chromium as an operator would, and prints what was seen, one line of JSON for each step.
// Judges nothing: the test in tests/tests/console knows what is right.
//
//   node console.mjs ENTRANCE SHOTS
//
// ENTRANCE is the address that `transcode-controller console` printed; SHOTS gets the screenshots. The environment has
// three uploads, all waiting: films/holiday.mp4, films/twice.mp4, and one whose name is markup and that is no film.

import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { Chromium } from './chromium.mjs';
import { contrasts } from './contrast.mjs';

const [entrance, shots] = process.argv.slice(2);
const { origin } = new URL(entrance);
// A step that is not done by then fails; on a busy machine one takes longer than on an idle one.
const LIMIT = 180_000;

/** What the expressions of the steps use. */
const HELPERS = `
  const lines = () => [...document.querySelectorAll('#jobs tbody tr')];
  const nameOf = (line) => line.querySelector('a').textContent;
  const rows = () => lines().map((line) => ({ state: line.dataset.state, name: nameOf(line) }));
  const rowOf = (name) => lines().find((line) => nameOf(line) === name);
  const picture = () => { const canvas = document.querySelector('.seek canvas');
    return new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size; };`;

mkdirSync(shots, { recursive: true });
const chromium = new Chromium(join(shots, 'chromium.log'));
const tell = (step, seen) => console.log(JSON.stringify({ step, ...seen }));
try {
  const page = await tab(entrance);
  const redriven = await follow(page);
  tell('foreign', await foreign(redriven));
  tell('bare', await bare());
  // Without a host (blob:, data:) an address leads nowhere.
  const asked = page.requests.map((url) => new URL(url).host).filter((host) => host !== '');
  tell('end', { requests: [...new Set(asked)], problems: page.problems });
} finally {
  chromium.kill();
}

async function follow(page) {
  const wide = { width: 1180, height: 560, scheme: 'light' };
  await resize(page, wide);
  await page.until('all jobs wait', `rows().length === 3 && rows().every((row) => row.state === 'queued')`);
  tell('queued', { rows: await page.value('rows()'), title: await page.value('document.title') });
  const cancelled = await cancel(page);
  // Open while the job still waits: whoever follows a job is told each change, however soon it comes.
  const follower = await tab(await page.value(`rowOf('films/holiday.mp4').querySelector('a').href`));
  tell('cancelled', cancelled);
  // For the picture. A fast job may have ended between two looks of the page.
  await page.until('the task works', `['running', 'settling', 'succeeded'].includes(rowOf('films/holiday.mp4')?.dataset.state)`);
  await shoot(page, 'console-jobs');
  tell('played', await play(follower));
  tell('native', await native(await follower.value('location.pathname'), page));
  page.requests.push(...follower.requests);
  page.problems.push(...follower.problems);
  await follower.close();
  const redriven = await redrive(page);
  tell('redriven', redriven);
  tell('anew', await anew(page));
  await page.go('/');
  const looks = [];
  for (const look of [wide, { ...wide, scheme: 'dark' }, { width: 360, height: 740, scheme: 'dark' }]) {
    await resize(page, look);
    const overflow = await page.value('document.documentElement.scrollWidth');
    looks.push({ ...look, overflow, faint: await page.value(`(${contrasts})()`) });
  }
  await shoot(page, 'console-narrow');
  await resize(page, wide);
  tell('looks', { looks, keyboard: await keyboard(page) });
  return redriven;
}

/** Cancels films/twice.mp4 from its page. */
async function cancel(page) {
  await page.click(`rowOf('films/twice.mp4').querySelector('a')`);
  await page.until('its page', `document.querySelector('h1').textContent === 'films/twice.mp4'`);
  await page.click(`document.querySelector('.actions button')`);
  await page.until('the question', `document.querySelector('.confirm')`);
  const question = await page.value(`document.querySelector('h1').textContent`);
  // Without a reason the browser does not send the form.
  await page.click(`document.querySelector('.confirm button')`);
  const refused = await page.value(`document.querySelector(':invalid') !== null`);
  await page.value(`document.querySelector('[name=why]').value = 'uploaded twice'`);
  await page.click(`document.querySelector('.confirm button')`);
  await page.until('it is cancelled', `document.querySelector('#head')?.dataset.state === 'cancelled'`);
  await page.until('and why', `document.querySelector('.says').textContent.includes('cancelled since')`);
  const says = await page.value(`document.querySelector('.says').textContent`);
  await page.go('/');
  return { question, refused, says };
}

/** Follows films/holiday.mp4 on its page to its end and plays it. */
async function play(page) {
  await page.until('the player', `document.querySelector('#player video')`);
  await page.until('all qualities', `document.querySelectorAll('.quality option').length > 1`);
  await page.until('the storyboard', `document.querySelector('.seek').hidden === false`);
  // From then on slowly, so that it still plays when the quality changes, however busy the machine is.
  await page.value(`(() => { const video = document.querySelector('video');
    video.addEventListener('timeupdate', () => { if (video.currentTime > 1) video.playbackRate = 0.1; });
    return video.play(); })()`);
  await page.until('it plays', `document.querySelector('video').currentTime > 1`);
  const lowest = await page.value(`(() => { const list = document.querySelector('.quality select');
    list.value = '0'; list.dispatchEvent(new Event('change')); return list.selectedOptions[0].textContent; })()`);
  await page.until('the lowest quality', `document.querySelector('.engine').textContent.includes('${lowest}')`);
  await page.value(`document.querySelector('video').pause()`);
  await page.value(`(() => { const bar = document.querySelector('.seek input');
    const { left, top } = bar.getBoundingClientRect();
    bar.dispatchEvent(new PointerEvent('pointermove', { clientX: left + 100, clientY: top + 4, bubbles: true })); })()`);
  await page.until('a picture of the storyboard', `!document.querySelector('.seek canvas').hidden && picture() > 2`);
  await page.until('it is settled', `document.querySelector('#head').dataset.state === 'succeeded'`);
  await page.until('the whole page', `document.querySelector('#verification .state')`);
  await resize(page, { width: 1180, height: 1000, scheme: 'light' });
  await shoot(page, 'console-job');
  const seen = await page.value(`({ time: document.querySelector('video').currentTime,
    engine: document.querySelector('.engine').textContent, state: document.querySelector('#head').dataset.state,
    news: document.querySelector('#news').textContent,
    parts: [...document.querySelectorAll('#time-line li')].map((one) => one.textContent),
    renditions: document.querySelectorAll('#renditions tbody tr').length,
    verification: document.querySelector('#verification p').textContent,
    cost: document.querySelector('#facts').textContent.includes('USD') })`);
  return { lowest, ...seen };
}

/** Plays a job as a console without hls.js would: this Chromium plays HLS by itself. */
async function native(path, all) {
  const page = await tab('about:blank');
  const source = `new MutationObserver(() => document.querySelector('video[data-hls]')?.removeAttribute('data-hls'))
    .observe(document, { childList: true, subtree: true })`;
  await page.call('Page.addScriptToEvaluateOnNewDocument', { source });
  await page.go(path);
  await page.until('the player', `document.querySelector('.engine')?.textContent`);
  await page.value(`document.querySelector('video').play()`);
  await page.until('it plays', `document.querySelector('video').currentTime > 1`);
  const seen = await page.value(`({ engine: document.querySelector('.engine').textContent, hls: 'Hls' in window,
    height: document.querySelector('video').videoHeight })`);
  all.requests.push(...page.requests);
  all.problems.push(...page.problems);
  await page.close();
  return seen;
}

/** Presses a button that asks first, and confirms. Gives the question, and the form's token as a passer-by may see it. */
async function confirmed(page, button) {
  await page.click(`document.querySelector('${button}')`);
  await page.until('the question', `document.querySelector('.confirm')`);
  const asked = await page.value(`({ question: document.querySelector('h1').textContent,
    token: document.querySelector('[name=token]').value })`);
  await page.click(`document.querySelector('.confirm button')`);
  await page.until('the page of a job', `location.pathname.startsWith('/jobs/') && !document.querySelector('.confirm')`);
  return asked;
}

/** Redrives the letter of what is no film. */
async function redrive(page) {
  // The page of letters is not fetched again by itself, and the letter is sent after the job's end.
  await page.until('it is dead', `rows().some((row) => row.state === 'dead')`);
  await page.again('/letters', 'its letter', `document.querySelector('#letters tbody tr')`);
  const letter = await page.value(`({ name: document.querySelector('#letters th a').textContent,
    advice: document.querySelector('.advice').textContent, bold: document.querySelectorAll('#letters th b').length,
    victim: document.querySelector('#letters th a').pathname.split('/')[2] })`);
  const { token } = await confirmed(page, '#letters button');
  await page.go('/');
  await page.until('the next generation', `rows().filter((row) => row.state === 'dead').length === 2`);
  await page.again('/?q=no%20film&state=dead', 'both generations', `rows().length === 2`);
  return { ...letter, token, rows: await page.value('rows()') };
}

/** Runs what is no film anew from its page. What was cancelled before it was accepted cannot be. */
async function anew(page) {
  await page.go('/');
  await page.go(await page.value(`rowOf('films/twice.mp4').querySelector('a').pathname`));
  const cancelled = await page.value(`document.querySelectorAll('.actions button').length`);
  await page.go('/');
  await page.go(await page.value(`lines().find((line) => line.dataset.state === 'dead').querySelector('a').pathname`));
  const button = await page.value(`document.querySelector('.actions button').textContent`);
  const { question } = await confirmed(page, '.actions button');
  await page.go('/');
  await page.until('the next generation', `rows().filter((row) => row.state === 'dead').length === 3`);
  return { cancelled, button, question };
}

/** Another program's page on this machine, which is the same site: the browser sends it our cookie. */
async function foreign({ token, victim }) {
  const form = `token=${token}&action=retry&job=${victim}`;
  const pairs = form.split('&').map((pair) => pair.split('='));
  const fields = pairs.map(([name, value]) => `<input name="${name}" value="${value}">`).join('');
  const html = `<!doctype html><form method="post" action="${origin}/act">${fields}<button>Win</button></form>`;
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(html));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = await tab(`http://127.0.0.1:${server.address().port}/`);
  const asked = (path, more) =>
    `fetch('${origin}${path}', { credentials: 'include', ${more} }).then((answer) => answer.type, () => 'refused')`;
  const seen = {
    read: await other.value(asked('/api/jobs', '')),
    posted: await other.value(asked('/act', `method: 'POST', mode: 'no-cors', body: new URLSearchParams('${form}')`)),
    statuses: other.statuses,
  };
  await other.click(`document.querySelector('button')`);
  await other.until('the answer to the form', `location.origin === '${origin}' && document.body.textContent`);
  seen.form = await other.value('document.body.textContent');
  const named = await tab(origin.replace('127.0.0.1', 'localhost') + '/');
  seen.named = await named.value('document.body.textContent');
  server.close();
  return seen;
}

/** The list without JavaScript: in the same browser, so with the cookie. */
async function bare() {
  const page = await tab('about:blank');
  await page.call('Emulation.setScriptExecutionDisabled', { value: true });
  await page.go('/');
  // The page's own scripts do not run; the debugger's do.
  await page.until('the table', `document.querySelectorAll('#jobs tbody tr').length`);
  return page.value(`({ rows: [...document.querySelectorAll('#jobs tbody tr')].map((row) => row.dataset.state),
    headers: [...document.querySelectorAll('#jobs thead th')].map((cell) => cell.textContent),
    figures: document.querySelectorAll('#figures b').length, filter: document.querySelector('form.filter').action })`);
}

/** What the first presses of Tab reach, and whether the focus can be seen there. */
async function keyboard(page) {
  const seen = [];
  for (let press = 0; press < 3; press += 1) {
    const key = { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 };
    await page.call('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...key });
    await page.call('Input.dispatchKeyEvent', { type: 'keyUp', ...key });
    seen.push(await page.value(`({ text: document.activeElement.textContent,
      outline: getComputedStyle(document.activeElement).outlineStyle, top: document.activeElement.getBoundingClientRect().top })`));
  }
  return seen;
}

async function resize(page, { width, height, scheme }) {
  await page.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  await page.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
}

async function shoot(page, name) {
  const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
  writeFileSync(join(shots, `${name}.png`), Buffer.from(data, 'base64'));
}

/** A page with the few calls that the steps need. */
async function tab(url) {
  const page = await chromium.open(url);
  const value = async (expression) => {
    const whole = `(() => { ${HELPERS}; return (${expression}); })()`;
    const params = { expression: whole, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails: wrong } = await page.call('Runtime.evaluate', params);
    if (wrong) throw new Error(`${expression}: ${wrong.exception?.description ?? wrong.text}`);
    return result.value;
  };
  const until = async (what, expression) => {
    const end = Date.now() + LIMIT;
    for (;;) {
      // Between two pages there is nothing to ask.
      const found = await value(`Boolean(${expression})`).catch(() => false);
      if (found) return;
      if (Date.now() > end) {
        throw new Error(`${what}: not within ${LIMIT} ms; ${await value('document.body.innerText').catch(String)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const click = (target) => value(`(${target}).click()`);
  const go = async (path) => {
    await page.call('Page.navigate', { url: origin + path });
    await until('the page', `document.readyState === 'complete' && location.href === '${origin}${path}'`);
  };
  /** Goes to a page that does not change by itself, again and again until it shows something. */
  const again = async (path, what, expression) => {
    const end = Date.now() + LIMIT;
    for (;;) {
      await go(path);
      if (await value(`Boolean(${expression})`)) return;
      if (Date.now() > end) throw new Error(`${what}: not within ${LIMIT} ms; ${await value('document.body.innerText')}`);
    }
  };
  await until('the page', `document.readyState === 'complete'`);
  return { ...page, value, until, click, go, again };
}
