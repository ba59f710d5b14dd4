// Plays HLS: natively where the browser can, elsewhere with hls.js, which is served beside this page and loaded when it
// is needed. `npm install hls.js` brings it.

/** Plays `address` in `video`. `failed`: gets a reason that ends it. */
export function play(video, address, poster, failed) {
  if (poster) video.poster = poster;
  video.addEventListener('error', () => failed(video.error?.message ?? 'unknown'));
  const own = video.canPlayType('application/vnd.apple.mpegurl');
  load(own, video, address, failed).catch((error) => failed(error.message));
}

async function load(own, video, address, failed) {
  if (!globalThis.Hls) await script('hls.js').catch(() => {});
  const { Hls } = globalThis;
  if (!Hls?.isSupported()) {
    if (!own) throw new Error('this browser has no HLS, and hls.js is not here');
    video.src = address;
    return;
  }
  const hls = new Hls();
  // hls.js has tried several times before it calls an error fatal.
  let chances = 5;
  hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
    if (!fatal) return;
    if (chances-- === 0) failed(details);
    else if (type === Hls.ErrorTypes.NETWORK_ERROR) hls.startLoad();
    else if (type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else failed(details);
  });
  hls.loadSource(address);
  hls.attachMedia(video);
}

function script(address) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = address;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${address} is not here`));
    document.head.append(element);
  });
}
