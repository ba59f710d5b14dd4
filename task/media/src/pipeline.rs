//! From a source to a verified package: the steps in their order.

use std::collections::BTreeMap;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use transcode_config::contract::{Failure, FailureCode, Stage, Warning};

use crate::{
    captions,
    encode::{self, Encoded},
    examine::{self, probe, source, source::Examined},
    job::{Context, Event, MediaJob},
    measure::{loudness, per_title},
    package::{
        captions::Captions,
        dash,
        event_playlist::EVENT_PLAYLIST,
        folder::{Folder, PackagedFile},
        hls::{self, Form},
        images,
        listing::{self, LISTING},
        metadata::{self, METADATA, Summary},
        progressive,
        track::Tracks,
    },
    plan::{self, Plan, timeline},
    process::{Damage, Tools},
    rational,
    verify::{self, Check, MANIFEST, MASTER},
};

/// A file that gets a stable name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFile {
    /// The stable name: `master.m3u8`.
    pub name: String,
    /// Its path in the package: `entry/master.m3u8`.
    pub file: String,
}

/// A verified package.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Package {
    pub files: Vec<PackagedFile>,
    /// Those with stable names, in the order in which they are to be published.
    pub entry: Vec<EntryFile>,
    /// Duration of the result in milliseconds.
    pub duration_ms: u64,
    /// Renditions, rates and warnings, as in `metadata.json`.
    pub summary: Summary,
}

/// Percent of the whole at which the parts end.
const EXAMINED: f32 = 3.0;
const SAMPLED: f32 = 5.0;
const LISTENED: f32 = 8.0;
const ENCODED: f32 = 92.0;
const IMAGES_MADE: f32 = 95.0;

/// Makes and verifies the package.
///
/// On success every file in [`Package::files`] lies complete below `job.output`. On failure the files there are
/// worthless, and the caller removes them.
pub async fn make(
    job: &MediaJob<'_>,
    tools: &Tools,
    events: &UnboundedSender<Event>,
    stop: &CancellationToken,
) -> Result<Package, Failure> {
    let context = Context { job, tools, events, stop };
    match make_package(&context).await {
        Err(failure) if failure.code != FailureCode::Interrupted => {
            let version = tools_version(&context).await;
            Err(failure.with("ffmpeg", version))
        }
        made => made,
    }
}

/// The version of ffmpeg, for failures and `metadata.json`.
async fn tools_version(context: &Context<'_>) -> String {
    context.tools.version(context.stop).await.unwrap_or_else(|_| "unknown".into())
}

async fn make_package(context: &Context<'_>) -> Result<Package, Failure> {
    context.send(Event::Stage(Stage::Probing));
    context.reached(0.0);
    let Examined { mut source, scan, joined } = source::examine(context).await?;
    let job = &MediaJob { input: joined.as_deref().unwrap_or(context.job.input), ..*context.job };
    let context = &Context { job, ..*context };
    source.speak(job.profile.audio.default_language.as_deref());
    let mut timeline = timeline::lay_out(&mut source, &scan)?;
    if let Some(clip) = job.clip {
        timeline = timeline.clipped(clip)?;
    }
    let mut plan = plan::make(&source, &timeline, job.profile)?;
    if let (Some(video), Some(overlay)) = (&mut plan.video, examine::overlay::examine(context).await?) {
        let why = "an overlay is laid over standard range only";
        let left_out = video.lay_over(overlay).into_iter();
        source.skipped.extend(left_out.map(|rung| probe::Skipped {
            index: video.stream.index,
            what: format!("rung {rung}"),
            why,
        }));
    }
    if plan.video.as_ref().is_some_and(|video| video.tone_map) {
        source::can_tone_map(context).await?;
    }
    tracing::info!(seconds = plan.seconds, rungs = rungs(&plan), sounds = plan.audio.len(), "planned");
    context.send(Event::Stage(Stage::Transcoding));
    context.reached(EXAMINED);
    per_title::fit(context, &mut plan).await?;
    context.reached(SAMPLED);
    loudness::correct(context, &mut plan, (SAMPLED, LISTENED)).await?;
    let uneven = plan.audio.iter().filter(|audio| audio.even.is_some() && audio.channels == plan::STEREO);
    for audio in uneven {
        source.warn(
            Warning::FormatChanges,
            format!("the format of the audio (stream {}) changes in the middle", audio.stream.index),
        );
    }
    let package = Folder::new(job.output, job.profile.package, source.size, context.events.clone());
    let encoded = encode::encode(context, &plan, package, (LISTENED, ENCODED)).await?;
    let Encoded { tracks, mut package, event_texts, damage } = encoded;
    let Damage { frames, packets } = damage;
    if frames > 0 {
        source.warn(Warning::Damaged, format!("the decoder repaired {frames} frames"));
    }
    if packets > 0 {
        source.warn(Warning::Damaged, format!("{packets} packets could not be decoded"));
    }
    if let Some(video) = &plan.video {
        images::make(context, video, &tracks, &mut package).await?;
    }
    let together = progressive::make(context, &plan, &mut package).await?;
    context.reached(IMAGES_MADE);
    let captions = captions::make(context, &mut source, &plan, &mut package).await?;
    let summary = metadata::summary(&source, &plan, &tracks, &captions, together);
    write_texts(job, &plan, &tracks, &captions, &mut package)?;
    let ffmpeg = tools_version(context).await;
    package.write(METADATA, &metadata::document(&source, &summary, &ffmpeg, job.user_metadata))?;
    let listing = listing::document(package.files(), job.folder, &summary, job.user_metadata);
    package.write(LISTING, &listing)?;
    context.send(Event::Stage(Stage::Verifying));
    let audio = loudness::check(context, &plan, &context.encoder_folder()).await?;
    std::fs::remove_dir_all(context.encoder_folder()).ok();
    prove(job, &plan, (audio, event_texts), &mut package).await?;
    context.reached(100.0);
    let duration_ms = rational::round_to_u64(plan.seconds * 1000.0);
    let files = package.into_files();
    Ok(Package { entry: entries(&files), files, duration_ms, summary })
}

fn rungs(plan: &Plan) -> usize {
    plan.video.as_ref().map_or(0, |video| video.renditions.len())
}

fn write_texts(
    job: &MediaJob<'_>,
    plan: &Plan,
    tracks: &Tracks,
    captions: &[Captions],
    package: &mut Folder,
) -> Result<(), Failure> {
    // Players may have loaded these playlists already, so their lines must not change.
    let playable_early = job.profile.playable_early;
    let target = if playable_early { hls::planned_target(plan) } else { hls::target_duration(tracks) };
    for track in tracks.video.iter().chain(&tracks.audio) {
        let text = hls::media(track, target);
        package.write(&format!("{}/index.m3u8", track.folder), text.as_bytes())?;
        if playable_early {
            package.write(&format!("{}/{EVENT_PLAYLIST}", track.folder), text.as_bytes())?;
        }
    }
    for track in &tracks.video {
        package.write(&format!("{}/iframes.m3u8", track.folder), hls::i_frames(track, target).as_bytes())?;
    }
    for one in captions {
        package.write(&format!("{}/index.m3u8", one.folder), hls::texts(one).as_bytes())?;
    }
    package.write(MANIFEST, dash::manifest(plan, tracks, captions, job.folder).as_bytes())?;
    let form = Form { folder: job.folder, file: "index.m3u8", target, measured: true };
    if playable_early {
        let here = hls::master(plan, tracks, captions, Form { folder: "", ..form });
        package.write(EVENT_PLAYLIST, here.as_bytes())?;
    }
    package.write(MASTER, hls::master(plan, tracks, captions, form).as_bytes())
}

/// Verifies off the async threads: it reads the headers of every fragment.
async fn prove(
    job: &MediaJob<'_>,
    plan: &Plan,
    (mut measured, event_texts): (Vec<Check>, BTreeMap<String, String>),
    package: &mut Folder,
) -> Result<(), Failure> {
    let (root, folder, plan) = (job.output.to_owned(), job.folder.to_owned(), plan.clone());
    let verifying = tokio::task::spawn_blocking(move || {
        measured.extend(verify::check_event_playlists(&root, &event_texts));
        verify::verify(&root, &folder, &plan, measured)
    });
    let report = verifying
        .await
        .map_err(|error| Failure::new(FailureCode::Internal, "verification failed").with("error", error))??;
    let bytes = serde_json::to_vec_pretty(&report).unwrap_or_default();
    package.write("verification.json", &bytes)
}

/// Entry files in the order of publication: images and data before the playlists that players begin with.
fn entries(files: &[PackagedFile]) -> Vec<EntryFile> {
    const ORDER: [&str; 7] = [
        "poster.jpg",
        "metadata.json",
        "manifest.json",
        "video.mp4",
        "audio.m4a",
        "manifest.mpd",
        "master.m3u8",
    ];
    let names = ORDER.into_iter().map(|name| EntryFile { name: name.into(), file: format!("entry/{name}") });
    let fits = |entry: &EntryFile, file: &PackagedFile| {
        file.path == entry.file && file.size <= progressive::LARGEST_ENTRY
    };
    names.filter(|entry| files.iter().any(|file| fits(entry, file))).collect()
}
