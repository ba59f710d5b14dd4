//! Runs the transcode, and uploads finished files while the rest is still being made.

use std::{path::Path, time::Duration};

use tokio::{sync::mpsc::unbounded_channel, time::timeout};
use transcode_media::{Event, MediaJob, Package, process::Tools};

use super::{
    ending::End,
    event_playlist::GrowingPlaylists,
    heartbeat::Heart,
    publish::meta_before_package,
    stop::Stop,
    upload::{Uploads, relative},
};
use crate::aws::{At, AwsError};

/// Share of the whole attempt that is over when the transcode begins and when it ends, in percent.
pub(crate) const SHARE: (f32, f32) = (5.0, 95.0);
/// Once told to stop, the media part gets this long to end ffmpeg by itself; then it is dropped, which kills.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Makes the package; segments are uploaded as they get ready. Ends the transcode when an upload fails for good.
pub(crate) async fn transcode(
    job: &MediaJob<'_>,
    tools: &Tools,
    heart: &Heart,
    uploads: &mut Uploads,
    stop: &Stop,
) -> Result<Package, End> {
    let (events, mut inbox) = unbounded_channel();
    // A token of its own: a failed upload ends the transcode, not the attempt's reporting.
    let media_stop = stop.token().child_token();
    let mut playlists = GrowingPlaylists::default();
    let make = transcode_media::make(job, tools, &events, &media_stop);
    tokio::pin!(make);
    let cut_short: End = loop {
        tokio::select! {
            Some(event) = inbox.recv() => hear(event, job.output, heart, uploads, &mut playlists),
            ended = uploads.next() => if let Err(error) = ended {
                break End::Failed(error.failure(At::Output));
            },
            () = media_stop.cancelled() => break End::Failed(AwsError::stopped().failure(At::Output)),
            result = &mut make => {
                let package = result?;
                while let Ok(event) = inbox.try_recv() {
                    hear(event, job.output, heart, uploads, &mut playlists);
                }
                // What is still on its way can be played as it arrives. After that it is part of the package.
                playlists.release(uploads, heart);
                while uploads.are_under_way() {
                    uploads.next().await.map_err(End::aws(At::Output))?;
                    playlists.release(uploads, heart);
                }
                return Ok(package);
            }
        }
        playlists.release(uploads, heart);
    };
    media_stop.cancel();
    if timeout(STOP_TIME, make).await.is_err() {
        tracing::warn!("the transcode did not stop in time and is killed");
    }
    Err(cut_short)
}

fn hear(event: Event, output: &Path, heart: &Heart, uploads: &mut Uploads, playlists: &mut GrowingPlaylists) {
    match event {
        Event::Stage(stage) => heart.stage(stage),
        Event::Progress { percent, speed } => {
            let (from, to) = SHARE;
            heart.progress(from + percent.clamp(0.0, 100.0) / 100.0 * (to - from), speed);
        }
        // What has no name that can be uploaded is refused later, with the package; here it is only early.
        Event::FileReady(path) => {
            if let (Ok(name), Some(meta)) = (relative(&path), meta_before_package(&path)) {
                uploads.begin(name.to_owned(), output.join(&path), meta);
            }
        }
        Event::Playable(playlist) => playlists.take(playlist),
    }
}
