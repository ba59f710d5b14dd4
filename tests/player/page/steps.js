// The steps that run.mjs takes, in its order. Each gives what was seen.

import * as dash from './dash.js';
import * as hls from './hls.js';
import { beep, frames, until } from './look.js';

const query = new URLSearchParams(location.search);
const video = document.getElementById('video');
const errors = [];
const seen = frames(video);
let player;

for (const name of ['waiting', 'stalled']) video.addEventListener(name, () => (counts[name] += 1));
video.addEventListener('error', () => errors.push(`video: ${video.error?.code} ${video.error?.message}`));
const counts = { waiting: 0, stalled: 0 };

/** The first state: loaded, paused, everything buffered that there is. */
async function start() {
  player = { hls, dash }[query.get('player')].open(video, query.get('manifest'), errors);
  document.getElementById('what').textContent = `${query.get('player')} ${player.version}`;
  const state = () => JSON.stringify({ ready: video.readyState, held: buffers.map(held), errors });
  await until(() => `start, ${state()}`, () => buffers.length > 0 && video.readyState >= 2 && whole());
  if (bufferOf('video')) await until('the first frame', () => seen.latest);
  const sound = bufferOf('audio');
  return {
    version: player.version,
    time: video.currentTime,
    duration: video.duration,
    size: [video.videoWidth, video.videoHeight],
    frame: seen.latest ?? null,
    buffered: Object.fromEntries(buffers.map((one) => [one.kind, held(one)])),
    offsets: buffers.map((one) => one.buffer.timestampOffset),
    // The sound's buffer begins with what was given first.
    beep: sound ? await beep(sound.given) : null,
    errors,
  };
}

/** Whether every buffer holds all from here to the end, to within two frames of sound. */
function whole() {
  return Number.isFinite(video.duration) && buffers.every((one) => held(one).some(([start, end]) =>
    start < video.currentTime + 0.05 && end > video.duration - 0.05));
}

/** Since when what is held is what it is. */
const quiet = { held: '', since: 0 };

/** Whether the player is done with the last choice: it holds all there is, or wants no more for a second. hls.js takes a
 * segment for held sometimes that was loaded while it emptied a buffer for another group of sounds; it notices when it
 * gets there. */
function settled() {
  const now = JSON.stringify(buffers.map(held));
  if (now !== quiet.held) Object.assign(quiet, { held: now, since: performance.now() });
  const idle = player.loaders?.().every(({ state }) => state === 'IDLE' || state === 'ENDED' || state === 'STOPPED');
  return whole() || (idle && performance.now() - quiet.since > 1000);
}

async function seek(time) {
  video.currentTime = time;
  await until(() => `seek to ${time}`, () => !video.seeking && video.readyState >= 2);
}

/** Every rung forced, each with a seek to another place. */
async function levels() {
  const all = [];
  if (!bufferOf('video')) return all;
  const rungs = player.levels();
  const now = rungs.findIndex((rung) => rung.width === seen.latest.width);
  for (const index of lastOfAll(rungs, now)) {
    await chosen('video', () => player.force(index));
    // The middle of a frame, so that rounding cannot decide which one it is.
    const wanted = Math.floor((video.duration * (index + 1)) / (rungs.length + 1)) + 0.5;
    await seek(wanted);
    const there = () => seen.latest.width === rungs[index].width && Math.abs(seen.latest.time - wanted) < 0.2;
    const state = () => JSON.stringify({ rung: rungs[index], wanted, now: video.currentTime, seen, held: buffers.map(held) });
    await until(() => `rung ${state()}`, there);
    all.push({ rung: rungs[index], wanted, frame: seen.latest });
  }
  return all;
}

/** The numbers of `list`, `now` at the end: to choose at first what is on would change nothing. */
function lastOfAll(list, now) {
  return list.map((_, index) => (now + 1 + index) % list.length);
}

/** Chooses another track, and waits until the player is done with it. */
async function chosen(kind, choose) {
  bufferOf(kind).given.length = 0;
  choose();
  const begun = performance.now();
  let nudged = false;
  // A header and at least one segment.
  const state = () => JSON.stringify({ now: video.currentTime, held: buffers.map(held), loaders: player.loaders?.() });
  await until(() => `${kind} chosen, ${state()}`, () => {
    const done = settled();
    // A choice that meets the end of loading leaves hls.js at its end sometimes, with an emptied buffer: it loads again
    // once somebody seeks.
    if (!nudged && bufferOf(kind).given.length < 2 && performance.now() - begun > 5000) {
      nudged = true;
      video.currentTime += 0.001;
    }
    return bufferOf(kind).given.length > 1 && done;
  });
  return bufferOf(kind).given;
}

/** Every language of the sound, as it was given to the browser since it was chosen. */
async function sounds() {
  const all = [];
  const tracks = player.sounds();
  for (const index of tracks.length > 1 ? lastOfAll(tracks, 0) : []) {
    await seek(0);
    const given = await chosen('audio', () => player.sound(index));
    all.push({ ...tracks[index], ...(await beep(given)) });
  }
  return all;
}

/** Every text, as the browser has it: language, and the cues of the track that is on. */
async function texts() {
  const all = [];
  for (const [index, { language, label }] of player.texts().entries()) {
    player.text(index);
    const cues = await until(() => `text ${label}`, () => {
      const on = [...video.textTracks].find((track) => track.mode !== 'disabled' && track.cues?.length > 0
        && (!language || track.language === language));
      return on && [...on.cues].map(({ startTime, endTime, text }) => ({ start: startTime, end: endTime, text }));
    });
    all.push({ language, label, cues });
  }
  if (all.length > 0) await seek(all.at(-1).cues[0].start + 0.1);
  return all;
}

/** The pictures for the seek bar: read by the browser's own WebVTT parser, shown below the video. */
async function storyboard() {
  const address = query.get('storyboard');
  if (!address) return null;
  const track = Object.assign(document.createElement('track'), { kind: 'metadata', src: address });
  document.createElement('video').append(track);
  track.track.mode = 'hidden';
  await until('the storyboard', () => track.readyState === 2);
  const cues = [...track.track.cues].map((cue) => {
    const url = new URL(cue.text, new URL(address, location));
    const area = url.hash.replace('#xywh=', '').split(',').map(Number);
    return { start: cue.startTime, end: cue.endTime, sheet: url.pathname, area };
  });
  const sheet = new Image();
  sheet.src = cues[0].sheet;
  await sheet.decode();
  document.getElementById('sheet').append(sheet);
  return { cues, width: sheet.naturalWidth, height: sheet.naturalHeight };
}

/** A package that is still being made: where a player begins, and that it plays. */
async function begin() {
  player = hls.open(video, query.get('manifest'), errors);
  document.getElementById('what').textContent = `hls ${player.version}`;
  await until(() => `the first frame, ${errors}`, () => video.readyState >= 2 && seen.latest);
  const first = { time: video.currentTime, frame: seen.latest, list: player.list() };
  await video.play();
  await until(() => `playing, ${errors}`, () => video.currentTime > first.time + 0.5);
  return first;
}

/** The same, played on until there is no more. */
async function follow() {
  await until(() => `the end, now ${video.currentTime}, ${JSON.stringify(player.list())}, ${errors}`, () => video.ended, 120_000);
  const { totalVideoFrames: frames, droppedVideoFrames: dropped } = video.getVideoPlaybackQuality();
  const { currentTime: time, duration } = video;
  return { time, duration, frames, dropped, last: seen.latest, list: player.list(), errors };
}

/** From the start to the end. */
async function play() {
  await seek(0);
  Object.assign(counts, { waiting: 0, stalled: 0 });
  const before = video.getVideoPlaybackQuality();
  const first = seen.count;
  await video.play();
  await until(() => `the end, now ${video.currentTime}`, () => video.ended, 120_000);
  const after = video.getVideoPlaybackQuality();
  const [time, shown] = [video.currentTime, seen.count - first];
  if (bufferOf('video')) await lastFrame(video, seen);
  return {
    time,
    duration: video.duration,
    frames: after.totalVideoFrames - before.totalVideoFrames,
    dropped: after.droppedVideoFrames - before.droppedVideoFrames,
    shown,
    last: seen.latest ?? null,
    counts,
    errors,
  };
}

/** A frame, and what sound may be longer than the picture; seconds. */
const LAST = 0.07;

/** Goes where the last frame is: a busy machine may drop it when it plays to the end. */
async function lastFrame(element, shown) {
  element.currentTime = element.duration - 0.01;
  await until(() => `the last frame, ${JSON.stringify(shown)}`, () => !element.seeking && element.duration - shown.latest.time < LAST);
}

/** The file that is played as it is: its first frame, the one at a place in the middle, its sound, its end. */
async function file() {
  const address = query.get('file');
  if (!address) return null;
  const bytes = await (await fetch(address)).blob();
  const plain = Object.assign(document.createElement('video'), { muted: true, playsInline: true });
  document.body.append(plain);
  const shown = frames(plain);
  plain.src = URL.createObjectURL(bytes);
  await until(() => `the first frame of the file, ${plain.error?.message}`, () => shown.latest);
  const first = shown.latest;
  const wanted = Math.floor(plain.duration / 2) + 0.5;
  plain.currentTime = wanted;
  await until('the middle of the file', () => !plain.seeking && Math.abs(shown.latest.time - wanted) < 0.2);
  const middle = shown.latest;
  await plain.play();
  await until('the end of the file', () => plain.ended, 120_000);
  await lastFrame(plain, shown);
  return { duration: plain.duration, first, wanted, middle, last: shown.latest, beep: await beep([bytes]) };
}

window.steps = { begin, follow, start, levels, sounds, texts, storyboard, play, file };
