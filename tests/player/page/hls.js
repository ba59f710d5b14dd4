// hls.js behind the few calls that the steps need.

export function open(video, address, errors) {
  const hls = new Hls({ autoStartLoad: true });
  hls.on(Hls.Events.ERROR, (_, data) => {
    // A request of its own that it gives up because another rung was chosen.
    if (data.details === 'aborted' && !data.fatal) return;
    // It reckons where a segment lies without the edit list, so by some frames too late, and misses those frames when a
    // choice in the midst of loading makes it load a segment again. It gives up (fatal) if that goes on.
    if (data.details === 'bufferAppendNoProgress' && !data.fatal) return;
    // Nothing is wrong with waiting for what is not made yet.
    if (data.details === 'bufferStalledError' && !data.fatal && list()?.live) return;
    errors.push(`hls.js: ${data.type} ${data.details} fatal=${data.fatal} ${data.error?.message ?? ''}`);
  });
  // The playlist of the rung that is on, as it was read last.
  const list = () => {
    const { live, edge, type } = hls.levels[hls.currentLevel]?.details ?? {};
    return { live, edge, type };
  };
  hls.loadSource(address);
  hls.attachMedia(video);
  return {
    version: Hls.version,
    list,
    // What each of its loaders is about.
    loaders: () => hls.networkControllers.filter((one) => one.state).map(({ state, fragCurrent, fragPrevious }) =>
      ({ state, loads: fragCurrent?.sn, before: fragPrevious?.sn })),
    levels: () => hls.levels.map(({ width, height }) => ({ width, height })),
    force: (index) => (hls.currentLevel = index),
    sounds: () => hls.audioTracks.map(({ lang, name }) => ({ language: lang, label: name })),
    sound: (index) => (hls.audioTrack = index),
    texts: () => hls.subtitleTracks.map(({ lang, name }) => ({ language: lang, label: name })),
    text: (index) => (hls.subtitleTrack = index),
  };
}
