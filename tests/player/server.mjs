// Static files on loopback, as a CDN serves them: media types, byte ranges, nothing else.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mpd': 'application/dash+xml',
  '.mp4': 'video/mp4',
  '.m4s': 'video/iso.segment',
  '.vtt': 'text/vtt; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
};

/**
 * Serves `roots`: the first part of a path, such as `package`, leads to a folder, or to an address whose answers are
 * passed on as they are at that moment. Gives the server's address.
 */
export async function serve(roots) {
  const server = createServer((request, response) => {
    answer(roots, request, response).catch(() => response.writeHead(404).end());
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

async function answer(roots, request, response) {
  const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
  // Browsers ask for it by themselves; its absence would be noted as an error.
  if (path === '/favicon.ico') return response.writeHead(204).end();
  const [, name, ...rest] = normalize(path).split('/');
  if (roots[name].startsWith('http:')) return pass(`${roots[name]}/${rest.join('/')}`, request, response);
  const file = join(roots[name], ...rest);
  const { size } = await stat(file);
  const type = typeOf(file);
  // Nothing is kept, so that what is asked for is always seen to be fetched.
  const head = { 'content-type': type, 'accept-ranges': 'bytes', 'cache-control': 'no-store' };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (range) head['content-range'] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, { ...head, 'content-length': end - start + 1 });
  return createReadStream(file, { start, end }).pipe(response);
}

async function pass(address, request, response) {
  const { range } = request.headers;
  const answer = await fetch(address, { headers: range ? { range } : {} });
  const body = Buffer.from(await answer.arrayBuffer());
  const head = { 'content-type': typeOf(address), 'cache-control': 'no-store', 'content-length': body.length };
  const part = answer.headers.get('content-range');
  response.writeHead(answer.status, part ? { ...head, 'content-range': part } : head).end(body);
}

function typeOf(path) {
  return TYPES[extname(path)] ?? 'application/octet-stream';
}
