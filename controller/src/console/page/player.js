// Plays a job's result. With a copy of hls.js the quality can be chosen; without one the browser plays by itself, where
// it can. The storyboard is drawn from one sheet, at the place that its index names.

/** The instance of hls.js that plays. */
let playing;

/** Starts the player of a section, if there is one, in the place of the one before; goes on at `from`, in seconds. */
export function play(section, from = 0) {
  const video = section?.querySelector('video');
  if (!video) return;
  playing?.destroy();
  playing = undefined;
  const goOn = () => {
    video.currentTime = from;
    video.play().catch(() => {});
  };
  if (from > 0) video.addEventListener('loadedmetadata', goOn, { once: true });
  const say = (text) => (section.querySelector('.engine').textContent = text);
  const native = video.canPlayType('application/vnd.apple.mpegurl') !== '';
  const script = video.dataset.hls;
  if (script && 'MediaSource' in window) withScript(video, script, section, say).catch(() => say('hls.js did not start'));
  else if (native) say('played by the browser');
  else say('this browser plays HLS with hls.js only');
  if (native) section.querySelector('.no-hls')?.remove();
  if (video.dataset.storyboard) storyboard(video, section.querySelector('.seek')).catch(() => {});
}

async function withScript(video, script, section, say) {
  const address = video.currentSrc || video.src;
  // Not both: what the browser has begun by itself is dropped.
  video.removeAttribute('src');
  video.load();
  await load(script);
  // No worker: it would be made from a blob, which the page's policy refuses.
  const hls = new window.Hls({ enableWorker: false, capLevelToPlayerSize: false });
  playing = hls;
  hls.on(window.Hls.Events.ERROR, (_, { fatal, type, details }) => {
    if (!fatal) return;
    if (type === window.Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else say(`cannot be played: ${details}`);
  });
  hls.on(window.Hls.Events.MANIFEST_PARSED, () => qualities(hls, section));
  hls.on(window.Hls.Events.LEVEL_SWITCHED, (_, { level }) => say(`playing ${name(hls.levels[level])} with hls.js ${window.Hls.version}`));
  hls.loadSource(address);
  hls.attachMedia(video);
}

/** Loads a script of this server once. */
function load(address) {
  if (window.Hls) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    Object.assign(script, { src: address, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

const name = ({ width, height, bitrate }) => (height ? `${Math.min(width, height)}p` : `${Math.round(bitrate / 1000)} kbit/s`);

function qualities(hls, section) {
  const label = section.querySelector('.quality');
  const select = label.querySelector('select');
  const option = (value, text) => Object.assign(document.createElement('option'), { value, textContent: text });
  const levels = hls.levels.map((level, at) => option(at, name(level))).reverse();
  select.replaceChildren(option(-1, 'automatic'), ...levels);
  select.onchange = () => (hls.currentLevel = Number(select.value));
  label.hidden = levels.length < 2;
}

/** A bar for the position that shows the picture there, under the pointer and for the keyboard. */
async function storyboard(video, box) {
  const [bar, canvas] = [box.querySelector('input'), box.querySelector('canvas')];
  const answer = await fetch(video.dataset.storyboard);
  if (!answer.ok) return;
  const cues = parse(await answer.text(), answer.url);
  if (!cues.length) return;
  const sheets = new Map();
  const sheet = (address) => {
    if (!sheets.has(address)) sheets.set(address, Object.assign(new Image(), { src: address }));
    return sheets.get(address);
  };
  const pen = canvas.getContext('2d');
  const show = async (share) => {
    const time = share * video.duration;
    const cue = cues.find(({ to }) => time < to) ?? cues.at(-1);
    if (!cue || !Number.isFinite(time)) return;
    const picture = sheet(cue.sheet);
    await picture.decode();
    const [x, y, width, height] = cue.place;
    Object.assign(canvas, { width, height, hidden: false });
    pen.drawImage(picture, x, y, width, height, 0, 0, width, height);
    const left = share * bar.clientWidth - width / 2;
    canvas.style.left = `${Math.max(0, Math.min(left, bar.clientWidth - width))}px`;
  };
  const hide = () => (canvas.hidden = true);
  bar.addEventListener('pointermove', (event) => show(Math.max(0, Math.min(1, event.offsetX / bar.clientWidth))).catch(hide));
  bar.addEventListener('pointerleave', hide);
  bar.addEventListener('blur', hide);
  bar.addEventListener('input', () => {
    if (!Number.isFinite(video.duration)) return;
    video.currentTime = (bar.value / 1000) * video.duration;
    show(bar.value / 1000).catch(hide);
  });
  video.addEventListener('timeupdate', () => {
    if (document.activeElement !== bar && video.duration) bar.value = (video.currentTime / video.duration) * 1000;
  });
  box.hidden = false;
}

/** The cues of a storyboard: time of its end in seconds, sheet, place on the sheet. */
function parse(text, base) {
  const line = /--> (?:(\d+):)?(\d+):(\d+\.\d+)[^\n]*\n([^\n#]+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;
  return [...text.matchAll(line)].map(([, hours, minutes, seconds, file, ...place]) => ({
    to: Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(seconds),
    sheet: new URL(file, base).href,
    place: place.map(Number),
  }));
}
