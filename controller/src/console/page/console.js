// Keeps a page current: fetches the same address again and puts what is new into the parts marked `data-live`. The pages
// are complete without it. What strangers wrote was escaped by the server and is parsed as the page itself was; no script
// in it could run, and what this file says itself goes through `textContent`.

import { play } from './player.js';

const seconds = Number(document.body.dataset.poll);
let known = states();
let timer;
let busy = false;

play(document.getElementById('player'));
if (seconds) timer = setInterval(refresh, seconds * 1000);
document.addEventListener('visibilitychange', refresh);

async function refresh() {
  if (busy || !seconds || document.hidden) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { credentials: 'same-origin' });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const parts = [...document.querySelectorAll('[data-live]')];
    const old = parts.filter((part) => !replace(part, next.getElementById(part.id)));
    begin(next.getElementById('player'));
    tell();
    document.title = next.title;
    // A page on which nothing changes any more says so, and is not asked again once all of it is here.
    if (!old.length && !next.body.dataset.poll) clearInterval(timer);
  } catch {
    // The console has ended or sleeps; the page stays as it was.
  } finally {
    busy = false;
  }
}

/**
 * Puts a part's new content in its place, unless somebody is selecting text there: then it gives false. The focus stays
 * where it was.
 */
function replace(part, next) {
  if (!next || part.outerHTML === next.outerHTML) return true;
  const selection = getSelection();
  if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return false;
  const focus = part.contains(document.activeElement) ? trace(part, document.activeElement) : undefined;
  const opened = [...part.querySelectorAll('details')].map((one) => one.open);
  for (const { name, value } of next.attributes) part.setAttribute(name, value);
  part.replaceChildren(...next.childNodes);
  part.querySelectorAll('details').forEach((one, at) => (one.open = opened[at] ?? one.open));
  focus?.()?.focus({ preventScroll: true });
  return true;
}

/** How to find an element again: by its link, or by its place. */
function trace(part, element) {
  const link = element.getAttribute('href');
  const same = () => [...part.querySelectorAll('a')].find((one) => one.getAttribute('href') === link);
  const at = [...part.querySelectorAll('a, button, summary')].indexOf(element);
  return () => (link ? same() : [...part.querySelectorAll('a, button, summary')][at]);
}

/**
 * Shows the player once there is something to play, and then leaves it alone. What was ready early gives way to the
 * result: by itself if nobody has begun to watch, else by a button.
 */
function begin(next) {
  const here = document.getElementById('player');
  const coming = next?.querySelector('video');
  if (!here || !coming) return;
  const video = here.querySelector('video');
  const swap = (from) => {
    here.replaceChildren(...next.childNodes);
    play(here, from);
  };
  if (!video) swap();
  else if (!('early' in video.dataset) || 'early' in coming.dataset) return;
  else if (video.paused && video.currentTime === 0) swap();
  else if (!here.querySelector('.whole')) {
    const button = document.createElement('button');
    Object.assign(button, { className: 'strong whole', textContent: 'The result is ready: go on with it' });
    button.onclick = () => swap(video.currentTime);
    here.querySelector('.controls').append(button);
  }
}

/** The elements that have a state, by their ids. */
function states() {
  return new Map([...document.querySelectorAll('[data-state]')].map((one) => [one.id, one.dataset.state]));
}

/** Says in words which states have changed, for those who do not see the page. */
function tell() {
  const now = states();
  const changed = [...now].filter(([id, state]) => known.has(id) && known.get(id) !== state);
  const name = (id) => (document.querySelector(`#${id} th a`) ?? document.querySelector('h1')).textContent;
  if (changed.length) {
    document.getElementById('news').textContent = changed.map(([id, state]) => `${name(id)}: ${state}`).join('; ');
  }
  known = now;
}
