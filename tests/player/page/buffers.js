// Remembers every SourceBuffer that a player makes, and what it is given: what the browser holds is asked of the browser,
// not of the player.

const buffers = [];

{
  const { addSourceBuffer } = MediaSource.prototype;
  MediaSource.prototype.addSourceBuffer = function (type) {
    const buffer = addSourceBuffer.call(this, type);
    buffers.push({ kind: type.split('/')[0], buffer, given: [] });
    return buffer;
  };

  const { appendBuffer } = SourceBuffer.prototype;
  SourceBuffer.prototype.appendBuffer = function (data) {
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // A copy: players may hand their memory on.
    buffers.find((one) => one.buffer === this)?.given.push(bytes.slice());
    return appendBuffer.call(this, data);
  };
}

/** The latest buffer for `video` or `audio`. */
function bufferOf(kind) {
  return buffers.findLast((one) => one.kind === kind);
}

/** Times that a buffer holds: [[start, end], …]. */
function held(one) {
  const { buffered } = one.buffer;
  return Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)]);
}
