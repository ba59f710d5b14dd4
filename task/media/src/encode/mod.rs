//! Makes every rendition with ffmpeg, in one run or in chunks, and publishes segments while it works.

mod chunks;
mod cutting;
mod progress;
mod runs;

use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use transcode_config::contract::{Failure, FailureCode};

use crate::{
    job::{Context, cannot_write},
    package::{event_playlist::EventPlaylists, folder::Folder, track::Tracks},
    plan::Plan,
};
use progress::{Progress, Tick};
use runs::Runs;

pub(crate) use cutting::Encoded;
pub(crate) use runs::MEMORY;

/// Encodes. `share` is the part of the whole job that encoding takes, as its first and last percent.
pub(crate) async fn encode(
    context: &Context<'_>,
    plan: &Plan,
    package: Folder,
    share: (f32, f32),
) -> Result<Encoded, Failure> {
    let work = context.encoder_folder();
    std::fs::create_dir_all(&work).map_err(|error| cannot_write("encode", &error))?;
    let profile = context.job.profile;
    let chunks = profile.chunks.as_ref().map(|settings| plan.chunks(settings)).unwrap_or_default();
    // A failed write must end the encoder too, without looking like a stop of the job.
    let halt = context.stop.child_token();
    let (ticks, heard) = mpsc::channel();
    let playlists = profile.playable_early.then(|| EventPlaylists::new(plan));
    let cutting = cutting::spawn(plan, &work, !chunks.is_empty(), package, playlists, heard, halt.clone());
    let runs = Runs {
        context,
        plan,
        work: &work,
        progress: Mutex::new(Progress::new(plan.seconds, share)),
        halt: &halt,
        ticks: ticks.clone(),
        damage: Mutex::default(),
        audio: OnceLock::new(),
    };
    let result = match &profile.chunks {
        Some(settings) if !chunks.is_empty() => runs.in_chunks(chunks, settings.at_once).await,
        _ => runs.whole().await,
    };
    let damage = *runs.damage.lock().unwrap_or_else(PoisonError::into_inner);
    drop(runs);
    if result.is_ok() {
        ticks.send(Tick::Done).ok();
    }
    drop(ticks);
    let cut = cutting.await.map_err(|error| {
        Failure::new(FailureCode::Internal, "cutting segments failed").with("error", error)
    })?;
    match (result, cut) {
        // The failed write is the cause; the encoder was only stopped for it.
        (Err(_), Err(failure)) if halt.is_cancelled() && !context.stop.is_cancelled() => Err(failure),
        (Err(failure), _) => Err(blame(failure)),
        (Ok(()), cut) => {
            let encoded = cut?.ok_or_else(|| {
                Failure::new(FailureCode::Internal, "the encoder ended and its segments were given up")
            })?;
            all_decoded(plan, &encoded.tracks)?;
            Ok(Encoded { damage, ..encoded })
        }
    }
}

/// Seconds by which an audio rendition may be shorter than planned: three AAC frames.
const SHORT_AUDIO: f64 = 0.064;

/// Whether every rung has as many frames as the demuxer found, and every audio rendition its length. ffmpeg conceals
/// damage in the middle by repeating frames, but not a missing end, and exits with status 0 all the same.
fn all_decoded(plan: &Plan, tracks: &Tracks) -> Result<(), Failure> {
    let rungs = plan.video.iter().flat_map(|video| video.renditions.iter().map(move |rung| (video, rung)));
    for ((video, rung), track) in rungs.zip(&tracks.video) {
        let fragments = track.segments.iter().flat_map(|segment| &segment.fragments);
        let (made, planned) =
            (fragments.map(|fragment| u64::from(fragment.samples)).sum::<u64>(), video.frames_of(rung));
        if made < planned {
            return Err(Failure::new(
                FailureCode::DecodeFailed,
                format!("only {made} of {planned} frames could be decoded"),
            )
            .with("frames_decoded", made)
            .with("frames_expected", planned)
            .with("track", &track.folder));
        }
    }
    for track in &tracks.audio {
        let made = track.seconds(track.duration());
        if made + SHORT_AUDIO < plan.seconds {
            let message = format!("only {made:.2} of {:.2} s of audio could be decoded", plan.seconds);
            return Err(Failure::new(FailureCode::DecodeFailed, message)
                .with("seconds_decoded", format!("{made:.3}"))
                .with("seconds_expected", format!("{:.3}", plan.seconds))
                .with("track", &track.folder));
        }
    }
    Ok(())
}

/// What ffmpeg says of a source of which too little can be decoded, in versions 5 to 7.
const UNDECODED: [&str; 4] = [
    "Cannot determine format of input stream",
    "Error while decoding stream",
    "Error submitting packet to decoder",
    "Decode error rate",
];

/// Tells a source that cannot be decoded from an encoder that failed, by ffmpeg's messages.
pub(crate) fn blame(failure: Failure) -> Failure {
    if failure.code != FailureCode::EncodeFailed {
        return failure;
    }
    let said = |words: &str| failure.evidence.values().any(|value| value.contains(words));
    let code = if said("Decoder (codec") || said("no decoder found") {
        FailureCode::UnsupportedCodec
    } else if UNDECODED.into_iter().any(said) {
        FailureCode::DecodeFailed
    } else {
        return failure;
    };
    Failure { code, message: "the streams of the file cannot be decoded".into(), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_cannot_be_decoded_is_not_an_encoders_failure() {
        let failed = |words| Failure::new(FailureCode::EncodeFailed, "x").with("stderr", words);
        assert_eq!(
            blame(failed("Cannot determine format of input stream 0:0")).code,
            FailureCode::DecodeFailed
        );
        assert_eq!(blame(failed("Decode error rate 1 exceeds maximum")).code, FailureCode::DecodeFailed);
        assert_eq!(blame(failed("x264 fell over")).code, FailureCode::EncodeFailed);
    }
}
