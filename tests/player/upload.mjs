// Uses the upload page in headless Chromium as a person would, and prints what it saw as JSON. Judges nothing: the test
// in tests/tests/player/upload.rs knows what is right.
//
//   node upload.mjs PAGE FILE SHOTS
//
// Prints one line when the line is down and the page was loaded again, and one at the end.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Chromium } from './chromium.mjs';

// A step that is not done by then fails; on a busy machine one takes longer than on an idle one.
const STEP_LIMIT = 240_000;
const [address, file, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const chromium = new Chromium(join(shots, 'chromium.log'));
try {
  await main();
} finally {
  chromium.kill();
}

async function main() {
  const requests = new Set();
  const page = await chromium.open('about:blank');
  page.listen(({ method, params }) => {
    // The icons of the browser's own controls are `data:` addresses.
    const url = method === 'Network.requestWillBeSent' ? params.request.url : 'data:';
    if (!url.startsWith('data:')) requests.add(url);
    if (method === 'Page.javascriptDialogOpening') page.call('Page.handleJavaScriptDialog', { accept: true });
  });
  await page.call('Network.enable');
  // Every text that a screen reader would say, also across the reload.
  const source = `addEventListener('DOMContentLoaded', () => {
    const status = document.getElementById('status');
    const note = () => {
      const said = JSON.parse(sessionStorage.said ?? '[]');
      sessionStorage.said = JSON.stringify([...said, status.textContent]);
    };
    // What the page may read of S3's answers.
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (body) {
      this.addEventListener('load', () => {
        if (this.status !== 200) return;
        const tags = JSON.parse(sessionStorage.tags ?? '[]');
        sessionStorage.tags = JSON.stringify([...tags, this.getResponseHeader('etag')]);
      });
      return send.call(this, body);
    };
    new MutationObserver(note).observe(status, { childList: true, characterData: true, subtree: true });
  });`;
  await page.call('Page.addScriptToEvaluateOnNewDocument', { source });
  await look(page, 'light', 800, 520);
  await page.go(address);
  await key(page, 'Tab');
  const focus = await of(page, `document.activeElement.id`);

  await dropped(page);
  await until(page, `document.getElementById('bar').value > 2`);
  await key(page, ' ');
  await until(page, `document.getElementById('status').textContent === 'Paused.'`);
  await shoot(page, 'page');
  await key(page, ' ');
  await until(page, `document.getElementById('status').textContent.startsWith('The line is down')`);
  await page.go(address);
  const unfinished = await of(page, `document.getElementById('unfinished').textContent`);
  console.log(JSON.stringify({ unfinished: unfinished.split('. ')[0] }));

  const { root } = await page.call('DOM.getDocument');
  const { nodeId } = await page.call('DOM.querySelector', { nodeId: root.nodeId, selector: '#file' });
  await page.call('DOM.setFileInputFiles', { files: [file], nodeId });
  await until(page, `document.getElementById('status').textContent.startsWith('Making it playable')`);
  const uploaded = await of(page, `JSON.parse(sessionStorage.tags ?? '[]').length`);
  await until(page, `document.getElementById('status').textContent === 'Ready to watch.'`);
  await look(page, 'dark', 360, 640);
  await until(page, `document.getElementById('video').readyState >= 3`);
  const played = [await of(page, `document.getElementById('video').currentTime`)];
  await of(page, `document.getElementById('video').play()`);
  await until(page, `document.getElementById('video').currentTime > ${played[0] + 0.5}`);
  played.push(await of(page, `document.getElementById('video').currentTime`));
  await shoot(page, 'phone');
  const duration = await of(page, `document.getElementById('video').duration`);
  const width = await of(page, `document.documentElement.scrollWidth`);
  const said = JSON.parse(await of(page, `sessionStorage.said`));
  // hls.js asks by XMLHttpRequest too, from S3 and from the service; its answers have tags only where S3 gave them.
  const tags = JSON.parse(await of(page, `sessionStorage.tags ?? '[]'`)).slice(0, uploaded);
  console.log(JSON.stringify({ focus, said, tags, played, duration, width, requests: [...requests] }));
}

/** The file, dropped onto the page from outside. */
async function dropped(page) {
  const box = `(({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 }))(
    document.getElementById('drop').getBoundingClientRect())`;
  const at = await of(page, box);
  const data = { items: [], files: [file], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await page.call('Input.dispatchDragEvent', { type, ...at, data });
  }
}

async function key(page, name) {
  const codes = { Tab: ['Tab', 9], ' ': ['Space', 32] };
  const [code, windowsVirtualKeyCode] = codes[name];
  const text = name === ' ' ? { text: ' ' } : {};
  for (const type of ['keyDown', 'keyUp']) {
    await page.call('Input.dispatchKeyEvent', { type, key: name, code, windowsVirtualKeyCode, ...(type === 'keyDown' ? text : {}) });
  }
}

async function look(page, value, width, height) {
  await page.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  await page.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
}

/** The value of an expression in the page. */
async function of(page, expression) {
  const params = { expression, awaitPromise: true, returnByValue: true };
  const { result, exceptionDetails } = await page.call('Runtime.evaluate', params, STEP_LIMIT);
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
  return result.value;
}

/** Waits in the page until an expression is true. */
async function until(page, expression) {
  const loop = `(async () => {
    const end = Date.now() + ${STEP_LIMIT - 5_000};
    while (!(${expression})) {
      if (Date.now() > end) {
        return [document.getElementById('status').textContent, document.getElementById('video').error?.message].join(' ');
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })()`;
  const instead = await of(page, loop);
  if (instead !== undefined) {
    throw new Error(`${expression} did not become true; the page says: ${instead}\n${page.problems.join('\n')}`);
  }
}

async function shoot(page, name) {
  const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
  writeFileSync(join(shots, `${name}.png`), Buffer.from(data, 'base64'));
}
