// Headless Chromium over its DevTools protocol, through a pipe: no port, and nothing but Node's own modules.

import { spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  // Containers often have a /dev/shm of 64 MB.
  '--disable-dev-shm-usage',
  // Nobody hears it, and a machine without a sound card plays just as well.
  '--mute-audio',
  '--window-size=800,900',
  '--remote-debugging-pipe',
];

export class Chromium {
  #calls = new Map();
  #listeners = new Set();
  #last = 0;
  #rest = '';

  constructor(log) {
    const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
    // setpriv: the kernel ends it when this process is killed.
    const args = ['--pdeathsig', 'KILL', '--', 'chromium', ...FLAGS, `--user-data-dir=${profile}`, 'about:blank'];
    this.child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
    const file = createWriteStream(log);
    this.child.stdout.pipe(file, { end: false });
    this.child.stderr.pipe(file, { end: false });
    [, , , this.orders, this.answers] = this.child.stdio;
    // A browser that is gone says so through `exit`; writing to it is no news.
    this.orders.on('error', () => {});
    this.answers.setEncoding('utf8').on('data', (text) => this.#read(text));
    this.child.on('error', (error) => this.#fail(`cannot start chromium: ${error.message}`));
    this.child.on('exit', (code, signal) => this.#fail(`chromium ended (${code ?? signal}); see ${log}`));
  }

  /**
   * Opens a page. Gives functions that call a method on it, listen to its events and lead to another address, the list of
   * what went wrong there, and the addresses that it asked for, with the status of each answer.
   */
  async open(url) {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank', newWindow: true });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const call = (method, params, limit) => this.call(method, params, limit, sessionId);
    const [problems, requests, statuses] = [[], [], []];
    this.#listeners.add((event) => {
      if (event.sessionId !== sessionId) return;
      note(event, problems);
      if (event.method === 'Network.requestWillBeSent') requests.push(event.params.request.url);
      if (event.method === 'Network.responseReceived') statuses.push(event.params.response.status);
    });
    await Promise.all(['Runtime', 'Log', 'Page', 'Network'].map((domain) => call(`${domain}.enable`)));
    const go = async (address) => {
      const loaded = this.#once((event) => event.sessionId === sessionId && event.method === 'Page.loadEventFired');
      await call('Page.navigate', { url: address });
      await loaded;
    };
    const listen = (listener) => this.#listeners.add((event) => event.sessionId === sessionId && listener(event));
    await go(url);
    const close = () => this.call('Target.closeTarget', { targetId });
    return { call, go, listen, problems, requests, statuses, close };
  }

  /** Calls a method of the protocol. Fails after `limit` milliseconds. */
  call(method, params = {}, limit = 60_000, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const give = (settle) => (value) => {
        clearTimeout(timer);
        this.#calls.delete(id);
        settle(value);
      };
      const timer = setTimeout(() => give(reject)(new Error(`${method}: no answer in ${limit} ms`)), limit);
      this.#calls.set(id, { resolve: give(resolve), reject: give(reject) });
      this.orders.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  kill() {
    this.child.kill('SIGKILL');
  }

  #once(wanted) {
    return new Promise((resolve) => {
      const listener = (event) => {
        if (!wanted(event)) return;
        this.#listeners.delete(listener);
        resolve(event);
      };
      this.#listeners.add(listener);
    });
  }

  #read(text) {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      const call = this.#calls.get(message.id);
      if (!call) this.#listeners.forEach((listener) => listener(message));
      else if (message.error) call.reject(new Error(message.error.message));
      else call.resolve(message.result);
    }
  }

  #fail(why) {
    for (const call of [...this.#calls.values()]) call.reject(new Error(why));
  }
}

/** What a person would see in red in the browser's console: exceptions, failed requests, media errors. */
function note({ method, params }, problems) {
  if (method === 'Runtime.exceptionThrown') {
    const { text, exception } = params.exceptionDetails;
    problems.push(`exception: ${exception?.description ?? text}`);
  } else if (method === 'Log.entryAdded' && params.entry.level === 'error') {
    problems.push(`browser: ${params.entry.text} ${params.entry.url ?? ''}`);
  } else if (method === 'Runtime.consoleAPICalled' && ['error', 'assert'].includes(params.type)) {
    problems.push(`console: ${params.args.map((arg) => arg.value ?? arg.description).join(' ')}`);
  }
}
