// What is seen and heard: the number that the test's source carries in each frame, and its beeps.

/** Waits for a condition, looking often; `probe` gives a value when it holds. */
export async function until(what, probe, limit = 60_000) {
  const end = performance.now() + limit;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > end) throw new Error(`${typeof what === 'function' ? what() : what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Keeps the latest frame that the browser showed: its time in the media, its size, and the number in it. */
export function frames(video) {
  const seen = { count: 0, latest: undefined };
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const shown = (_, { mediaTime, width, height }) => {
    canvas.width = width;
    canvas.height = height;
    pen.drawImage(video, 0, 0, width, height);
    seen.latest = { time: mediaTime, width, height, number: number(pen, width) };
    seen.count += 1;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
  return seen;
}

/** Eight squares along the upper edge, white for 1, the lowest digit on the left. */
function number(pen, width) {
  const side = width / 8;
  let value = 0;
  for (let digit = 0; digit < 8; digit += 1) {
    const [red] = pen.getImageData(Math.round((digit + 0.5) * side), Math.round(side / 2), 1, 1).data;
    value += red > 127 ? 2 ** digit : 0;
  }
  return value;
}

/** Decodes pieces of sound as the browser would: when the first beep begins, and its pitch in hertz. */
export async function beep(pieces) {
  const rate = 48_000;
  const bytes = await new Blob(pieces).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  const wave = sound.getChannelData(0);
  const loudest = wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const start = wave.findIndex((value) => Math.abs(value) > loudest / 4);
  // Within the beep, well after it began.
  const inside = wave.subarray(start + rate / 100, start + rate / 20);
  let crossings = 0;
  for (let at = 1; at < inside.length; at += 1) crossings += inside[at - 1] < 0 && inside[at] >= 0 ? 1 : 0;
  return { start: start / rate, hertz: (crossings * rate) / inside.length, seconds: sound.duration };
}
