// hls.js behind the few calls that the steps need.

export function open(video, address, errors) {
  const hls = new Hls({ autoStartLoad: true });
  hls.on(Hls.Events.ERROR, (_, data) => {
    // A request of its own that it gives up because another rung was chosen.
    if (data.details === 'aborted' && !data.fatal) return;
    errors.push(`hls.js: ${data.type} ${data.details} fatal=${data.fatal} ${data.error?.message ?? ''}`);
  });
  hls.loadSource(address);
  hls.attachMedia(video);
  return {
    version: Hls.version,
    levels: () => hls.levels.map(({ width, height }) => ({ width, height })),
    force: (index) => (hls.currentLevel = index),
    sounds: () => hls.audioTracks.map(({ lang, name }) => ({ language: lang, label: name })),
    sound: (index) => (hls.audioTrack = index),
    texts: () => hls.subtitleTracks.map(({ lang, name }) => ({ language: lang, label: name })),
    text: (index) => (hls.subtitleTrack = index),
  };
}
