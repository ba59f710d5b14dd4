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

/// Progress of the whole attempt at the beginning and the end of the transcode, in percent.
pub(crate) const SHARE: (f32, f32) = (5.0, 95.0);
/// Time for the media crate to end ffmpeg after a stop; then it is dropped, which kills ffmpeg.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Makes the package and uploads segments as they are finished. Ends the transcode when an upload fails for good.
pub(crate) async fn transcode(
    job: &MediaJob<'_>,
    tools: &Tools,
    heart: &Heart,
    uploads: &mut Uploads,
    stop: &Stop,
) -> Result<Package, End> {
    let (events, mut inbox) = unbounded_channel();
    // A token of its own: a failed upload ends the transcode, but not the attempt's reporting.
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
                // Segments that are still being stored join the playlists as they arrive, and are part of the package
                // afterwards.
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
        // A file whose name cannot be uploaded is refused later, with the package; this upload is only an early one.
        Event::FileReady(path) => {
            if let (Ok(name), Some(meta)) = (relative(&path), meta_before_package(&path)) {
                uploads.begin(name.to_owned(), output.join(&path), meta);
            }
        }
        Event::Playable(playlist) => playlists.take(playlist),
    }
}
