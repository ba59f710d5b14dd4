//! The thread that cuts the encoder's files into segments while they are written.

use std::{collections::BTreeMap, path::Path, sync::mpsc};

use tokio_util::sync::CancellationToken;
use transcode_config::contract::Failure;

use super::progress::Tick;
use crate::{
    package::{
        cut::{Cut, Cutter},
        event_playlist::EventPlaylists,
        folder::Folder,
        track::Tracks,
    },
    plan::{self, Chunk, Plan},
    process::Damage,
};

/// The texts of the EVENT playlists, by path; empty if the job has none.
pub(super) type EventTexts = BTreeMap<String, String>;

/// The result of the encoder.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// What of the source the decoders found damaged.
    pub(crate) damage: Damage,
    pub(crate) tracks: Tracks,
    pub(crate) package: Folder,
    /// The texts of the EVENT playlists, by path; empty if the job has none.
    pub(crate) event_texts: EventTexts,
}

/// The thread's result: none if the encoder failed.
pub(super) type Cutting = tokio::task::JoinHandle<Result<Option<Encoded>, Failure>>;

/// Begins to follow the files that the encoder writes to `work`. With `in_chunks`, [`Tick`]s announce the video's
/// files. `halt` is cancelled if a segment cannot be cut or written.
pub(super) fn spawn(
    plan: &Plan,
    work: &Path,
    in_chunks: bool,
    mut package: Folder,
    playlists: Option<EventPlaylists>,
    heard: mpsc::Receiver<Tick>,
    halt: CancellationToken,
) -> Cutting {
    let mut cutters = Cutters::new(plan, work, in_chunks, playlists);
    tokio::task::spawn_blocking(move || {
        let result = cutters.until_done(&mut package, &heard);
        if result.is_err() {
            halt.cancel();
        }
        let event_texts = cutters.playlists.map(EventPlaylists::said).unwrap_or_default();
        result.map(|tracks| {
            tracks.map(|tracks| Encoded { tracks, package, event_texts, damage: Damage::default() })
        })
    })
}

struct Cutters {
    plan: Plan,
    video: Vec<Cutter>,
    audio: Vec<Cutter>,
    playlists: Option<EventPlaylists>,
}

impl Cutters {
    fn new(plan: &Plan, work: &Path, in_chunks: bool, playlists: Option<EventPlaylists>) -> Self {
        let groups = plan.video.as_ref().map_or(1, |video| video.segment_gops);
        let rungs = plan.video.iter().flat_map(|video| &video.renditions).enumerate();
        let video = rungs.map(|(number, rung)| {
            let mut cutter = Cutter::new(format!("video/{}", rung.name), Cut::Groups(groups));
            if !in_chunks {
                cutter.follow(work.join(plan::video_file(number)), 0);
            }
            cutter
        });
        let audio = plan.audio.iter().enumerate().map(|(number, audio)| {
            let mut cutter = Cutter::new(format!("audio/{}", audio.name), Cut::Seconds(plan.segment_seconds));
            cutter.follow(work.join(plan::audio_file(number)), 0);
            cutter
        });
        Self { plan: plan.clone(), video: video.collect(), audio: audio.collect(), playlists }
    }

    fn until_done(
        &mut self,
        package: &mut Folder,
        heard: &mpsc::Receiver<Tick>,
    ) -> Result<Option<Tracks>, Failure> {
        loop {
            match heard.recv() {
                Ok(Tick::Done) => break,
                Ok(Tick::More) => {}
                Ok(Tick::Begun(chunk, folder)) => self.begun(chunk, &folder),
                Ok(Tick::Ended(chunk)) => {
                    let at = self.ticks_of(chunk);
                    self.video.iter_mut().for_each(|cutter| cutter.ended(at));
                }
                // The encoder failed and reports why; its files are incomplete.
                Err(_) => return Ok(None),
            }
            for cutter in self.video.iter_mut().chain(&mut self.audio) {
                cutter.advance(package)?;
            }
            if let Some(playlists) = &mut self.playlists {
                for playlist in playlists.news(&self.video, &self.audio) {
                    package.playable(playlist);
                }
            }
        }
        let mut finish = |cutters: &mut Vec<Cutter>| {
            std::mem::take(cutters)
                .into_iter()
                .map(|cutter| cutter.finish(package))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Some(Tracks { video: finish(&mut self.video)?, audio: finish(&mut self.audio)? }))
    }

    fn begun(&mut self, chunk: Chunk, folder: &Path) {
        let at = self.ticks_of(chunk);
        for (number, cutter) in self.video.iter_mut().enumerate() {
            cutter.follow(folder.join(plan::video_file(number)), at);
        }
    }

    /// Where a chunk begins, on the clock of every rung.
    fn ticks_of(&self, chunk: Chunk) -> u64 {
        self.plan.video.as_ref().map_or(0, |video| video.ticks_of(chunk.first))
    }
}
