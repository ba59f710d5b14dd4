// The page: chooses a file, shows how it is sent, then how its job goes, then the video.

import { Refused, Upload, call, unfinished } from './upload.js';
import { play } from './player.js';

const $ = (id) => document.getElementById(id);
const LOOK = 1000;
const STAGES = {
  starting: 'Starting', downloading: 'Fetching the file', probing: 'Looking at it', transcoding: 'Encoding',
  verifying: 'Checking', publishing: 'Publishing',
};

let upload;

function show(...ids) {
  for (const id of ['choose', 'sending', 'job', 'watch']) $(id).hidden = !ids.includes(id);
}

/** Says it once; screen readers read it when it changes. */
function say(text) {
  if ($('status').textContent !== text) $('status').textContent = text;
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

function choose() {
  show('choose');
  $('file').value = '';
  const names = unfinished();
  $('unfinished').hidden = names.length === 0;
  $('unfinished').textContent = names.length
    ? `Not finished: ${names.join(', ')}. Choose the same file again; only what is missing will be sent.`
    : '';
}

async function send(file) {
  if (!/^(video|audio)\//.test(file.type)) return say(`${file.name} is neither video nor audio.`);
  if (file.size === 0) return say(`${file.name} is empty.`);
  upload = new Upload(file);
  const own = upload;
  show('sending');
  $('name').textContent = file.name;
  $('pause').textContent = 'Pause';
  $('pause').focus();
  const began = performance.now();
  let before;
  own.addEventListener('progress', () => {
    before ??= own.sent;
    const seconds = (performance.now() - began) / 1000;
    $('bar').value = (100 * own.sent) / file.size;
    $('amount').textContent = `${megabytes(own.sent)} of ${megabytes(file.size)} MB`;
    const rate = (own.sent - before) / seconds;
    $('rate').textContent = rate > 0 && !own.paused ? `${megabytes(rate)} MB/s` : '';
    if (own.paused) say('Paused.');
    else say(own.waits ? 'The line is down. Trying again …' : `Sending ${file.name} …`);
  });
  say(`Sending ${file.name} …`);
  try {
    const id = await own.run();
    history.replaceState(null, '', `#${id}`);
    await follow(id);
  } catch (error) {
    if (own !== upload) return;
    choose();
    say(error instanceof Refused ? `Refused: ${error.message}` : `Not sent: ${error.message}. Choose the file to go on.`);
  }
}

/** Looks at the job until it has ended; plays what is there as soon as something is. */
async function follow(id) {
  show('job');
  $('job-bar').removeAttribute('value');
  let player;
  for (;;) {
    let job;
    try {
      job = await call('GET', `/jobs/${id}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      say('The line is down. Trying again …');
    }
    if (job) {
      if (job.percent > 0) $('job-bar').value = job.percent;
      const waits = { uploaded: 'Waiting to be accepted', queued: 'Waiting for its turn' };
      $('job-stage').textContent = STAGES[job.stage] ?? waits[job.state] ?? '';
      if (job.playback && !player) {
        show('job', 'watch');
        $('watch-title').textContent = job.state === 'succeeded' ? 'Watch' : 'Watch what is there already';
        player = play($('video'), job.playback, job.poster, (text) => say(`It cannot be played: ${text}`));
      }
      if (job.state === 'succeeded') {
        show('watch');
        $('watch-title').textContent = 'Watch';
        return say('Ready to watch.');
      }
      if (['dead', 'cancelled', 'superseded'].includes(job.state)) {
        choose();
        const why = job.failure ? `${job.failure.message}. ${job.failure.remedy}` : `the job was ${job.state}`;
        return say(`It did not work: ${why}`);
      }
      say(job.state === 'running' ? 'Making it playable …' : `${waits[job.state]} …`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

$('file').addEventListener('change', () => $('file').files[0] && send($('file').files[0]));
const drop = $('drop');
for (const kind of ['dragenter', 'dragover']) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
}
drop.addEventListener('dragleave', () => drop.classList.remove('over'));
drop.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
});
$('pause').addEventListener('click', () => {
  if (upload.paused) upload.resume();
  else upload.pause();
  $('pause').textContent = upload.paused ? 'Resume' : 'Pause';
});
$('cancel').addEventListener('click', () => {
  const old = upload;
  upload = null;
  old.cancel();
  choose();
  say('Cancelled.');
});
$('another').addEventListener('click', () => {
  history.replaceState(null, '', location.pathname);
  location.reload();
});
// A part that is on its way would be lost.
window.addEventListener('beforeunload', (event) => {
  if (!$('sending').hidden && !upload?.paused && !upload?.waits) event.preventDefault();
});

if (location.hash.length > 1) {
  follow(location.hash.slice(1)).catch(() => {
    choose();
    say('That upload is not known any more.');
  });
} else {
  choose();
}
