// shaka-player behind the few calls that the steps need.

export function open(video, address, errors) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  const note = (error) => errors.push(`shaka-player: ${error.category}.${error.code} ${error.message ?? error}`);
  player.addEventListener('error', (event) => note(event.detail));
  player.attach(video).then(() => player.load(address)).catch(note);
  // The rungs of the sound that is on, lowest first.
  const rungs = () => player.getVariantTracks()
    .filter((track) => track.audioId === player.getVariantTracks().find((one) => one.active)?.audioId)
    .sort((a, b) => a.bandwidth - b.bandwidth);
  const named = ({ language, label, channelsCount }) =>
    ({ language: language === 'und' ? undefined : language, label, channels: channelsCount });
  return {
    version: shaka.Player.version,
    levels: () => rungs().map(({ width, height }) => ({ width: width ?? 0, height: height ?? 0 })),
    force: (index) => {
      player.configure({ abr: { enabled: false } });
      player.selectVariantTrack(rungs()[index], true);
    },
    sounds: () => player.getAudioTracks().map(named),
    sound: (index) => player.selectAudioTrack(player.getAudioTracks()[index]),
    texts: () => player.getTextTracks().map(named),
    text: (index) => player.selectTextTrack(player.getTextTracks()[index]),
  };
}
