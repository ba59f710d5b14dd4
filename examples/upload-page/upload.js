// Sends a file in parts. A part that fails is sent again, later and later; what S3 has is never sent again, also after a
// reload: then only the id is remembered, and S3's own list of parts says the rest.

const AT_ONCE = 3;
const TRIES = 12;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 20_000;
// A request that makes no headway for so long is given up and made again, in milliseconds.
const STALL = 30_000;
const SAVED = 'upload:';

/** What tells a file from another one without reading it. */
const fingerprint = (file) => `${SAVED}${file.name}|${file.size}|${file.lastModified}`;

/** Uploads that were begun and not completed: names of files. */
export function unfinished() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(SAVED));
  return keys.map((key) => key.slice(SAVED.length).split('|').slice(0, -2).join('|'));
}

/** An answer that trying again does not change. */
export class Refused extends Error {}

/** Calls the service. */
export async function call(method, path, body) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  const signal = AbortSignal.timeout(STALL);
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const value = text ? JSON.parse(text) : {};
  if (answer.ok) return value;
  const error = answer.status < 500 && answer.status !== 429 ? new Refused(value.error) : new Error(value.error);
  throw Object.assign(error, { status: answer.status });
}

export class Upload extends EventTarget {
  #file;
  #saved;
  #plan;
  #there = new Map();
  #done = 0;
  #moving = new Map();
  #stop = new AbortController();
  #waiting = 0;
  paused = false;

  constructor(file) {
    super();
    this.#file = file;
    this.#saved = fingerprint(file);
  }

  /** Bytes that S3 has, and those on their way. */
  get sent() {
    return this.#done + [...this.#moving.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Whether the line is down: every part at work waits for its next try. */
  get waits() {
    return this.#waiting > 0 && this.#waiting === this.#moving.size;
  }

  /** Sends what is missing. Gives the id once the object is complete; fails if it never will be. */
  async run() {
    this.#plan = await this.#open();
    const { id, parts } = this.#plan;
    const left = Array.from({ length: parts }, (_, index) => index + 1);
    const work = async () => {
      for (let number = left.shift(); number; number = left.shift()) await this.#part(number);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work)).catch((error) => {
      this.#stop.abort();
      throw error;
    });
    await this.#again(() => call('POST', `/uploads/${id}/complete`));
    localStorage.removeItem(this.#saved);
    return id;
  }

  /** Begins no further part. Those on their way are sent to their end: to stop them would be to send them twice. */
  pause() {
    this.paused = true;
    this.#tell();
  }

  resume() {
    this.paused = false;
    this.dispatchEvent(new Event('resume'));
    this.#tell();
  }

  /** Ends the upload here and at S3. */
  async cancel() {
    this.#stop.abort();
    localStorage.removeItem(this.#saved);
    if (this.#plan) await call('DELETE', `/uploads/${this.#plan.id}`).catch(() => {});
  }

  /** The upload that was begun with this file, or a new one. */
  async #open() {
    const id = localStorage.getItem(this.#saved);
    if (id) {
      try {
        const open = await this.#again(() => call('GET', `/uploads/${id}`));
        for (const part of open.there) this.#there.set(part.number, part);
        return { ...open, id };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        localStorage.removeItem(this.#saved);
      }
    }
    const { name, size, type } = this.#file;
    const made = await this.#again(() => call('POST', '/uploads', { name, type, bytes: size }));
    localStorage.setItem(this.#saved, made.id);
    return made;
  }

  async #part(number) {
    await this.#resumed();
    this.#moving.set(number, 0);
    const { id, part_bytes: length } = this.#plan;
    const piece = this.#file.slice((number - 1) * length, number * length);
    const sha256 = await digest(piece);
    const there = this.#there.get(number);
    // By content: a file that was changed without a new time is not mixed with its old parts.
    if (there?.sha256 !== sha256 || there.bytes !== piece.size) {
      await this.#again(async () => {
        const { parts } = await call('POST', `/uploads/${id}/parts`, { parts: [{ number, sha256 }] });
        await this.#put(parts[0], piece);
      });
    }
    this.#moving.delete(number);
    this.#done += piece.size;
    this.#tell();
  }

  /** Sends one part. By XMLHttpRequest: fetch does not tell how much of a body is sent. */
  #put({ number, url, headers }, piece) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let stall;
      const alive = () => {
        clearTimeout(stall);
        stall = setTimeout(() => request.abort(), STALL);
      };
      const end = (error) => {
        clearTimeout(stall);
        this.#stop.signal.removeEventListener('abort', stop);
        this.#moving.set(number, 0);
        if (error) reject(error);
        else resolve();
      };
      const stop = () => request.abort();
      this.#stop.signal.addEventListener('abort', stop);
      request.open('PUT', url);
      for (const [name, value] of headers) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => {
        alive();
        this.#moving.set(number, event.loaded);
        this.#tell();
      };
      // A refusal may be an address that has expired: the next try has a new one.
      request.onload = () => end(request.status === 200 ? null : new Error(`S3 answered ${request.status}`));
      request.onerror = () => end(new Error('the line was cut'));
      request.onabort = () => end(new Error('stopped'));
      alive();
      request.send(piece);
    });
  }

  /** Does something until it succeeds. Waits longer after each failure, and no longer once the line is back. */
  async #again(act) {
    for (let attempt = 1; ; attempt++) {
      await this.#resumed();
      try {
        return await act();
      } catch (error) {
        if (this.#stop.signal.aborted || error instanceof Refused || attempt === TRIES) throw error;
        const most = Math.min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT);
        this.#waiting++;
        this.#tell();
        await this.#wait(most * (0.5 + Math.random() / 2));
        this.#waiting--;
        this.#tell();
      }
    }
  }

  #wait(milliseconds) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        window.removeEventListener('online', end);
        this.#stop.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      window.addEventListener('online', end);
      this.#stop.signal.addEventListener('abort', end);
    });
  }

  async #resumed() {
    while (this.paused && !this.#stop.signal.aborted) {
      await new Promise((resolve) => {
        this.addEventListener('resume', resolve, { once: true });
        this.#stop.signal.addEventListener('abort', resolve, { once: true });
      });
    }
    this.#stop.signal.throwIfAborted();
  }

  #tell() {
    this.dispatchEvent(new Event('progress'));
  }
}

/** SHA-256 in Base64, as S3 has it. Browsers offer it on HTTPS and on loopback only. */
async function digest(piece) {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', await piece.arrayBuffer()));
  return btoa(String.fromCharCode(...sum));
}
