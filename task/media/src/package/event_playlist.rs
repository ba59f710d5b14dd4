//! EVENT playlists, which players can use while the encoder still works, and their master playlist.
//!
//! They lie in the attempt's own folder under names of their own, so that no file named by the terminal record is
//! written twice. In the end the same names hold the verified version: VOD playlists with an end.

use std::collections::BTreeMap;

use super::{
    cut::Cutter,
    fragment::Init,
    hls::{self, Form},
    track::{INIT, Segment, Track, Tracks},
};
use crate::{job::Playlist, plan::Plan};

/// Name of the playlists: of a track, in its folder; of the master playlist, in the package's.
pub const EVENT_PLAYLIST: &str = "early.m3u8";

/// Lists segments as they are published.
#[derive(Debug)]
pub struct EventPlaylists {
    plan: Plan,
    target: u64,
    /// Segments of each track, by its folder, that are already in a playlist.
    listed: BTreeMap<String, usize>,
    /// The whole text of each playlist so far, by path.
    said: BTreeMap<String, String>,
}

impl EventPlaylists {
    /// Playlists for a package by this plan.
    pub fn new(plan: &Plan) -> Self {
        let target = hls::planned_target(plan);
        Self { plan: plan.clone(), target, listed: BTreeMap::new(), said: BTreeMap::new() }
    }

    /// The last text of each playlist, by path: players that began early rely on it.
    pub fn said(self) -> BTreeMap<String, String> {
        self.said
    }

    /// The playlists with new lines. Those of tracks come first; the master playlist comes once each track has a
    /// segment.
    pub fn news(&mut self, video: &[Cutter], audio: &[Cutter]) -> Vec<Playlist> {
        let mut news = Vec::new();
        for (folder, init, segments) in video.iter().chain(audio).filter_map(Cutter::published) {
            let listed = self.listed.entry(folder.to_owned()).or_default();
            if segments.len() > *listed {
                news.push(self::playlist(folder, init, segments, *listed, self.target));
                *listed = segments.len();
            }
        }
        if !self.said.contains_key(EVENT_PLAYLIST) && self.listed.len() == video.len() + audio.len() {
            news.push(self.all(video, audio));
        }
        for playlist in &news {
            let said = self.said.entry(playlist.path.clone()).or_insert_with(|| playlist.head.clone());
            said.extend(playlist.segments.iter().map(|(_, lines)| lines.as_str()));
        }
        news
    }

    fn all(&self, video: &[Cutter], audio: &[Cutter]) -> Playlist {
        let tracks = |cutters: &[Cutter]| {
            let published = cutters.iter().filter_map(Cutter::published);
            let track = published.map(|(folder, init, segments)| Track {
                folder: folder.to_owned(),
                init: init.clone(),
                segments: segments.to_vec(),
            });
            track.collect()
        };
        let tracks = Tracks { video: tracks(video), audio: tracks(audio) };
        let form = Form { folder: "", file: EVENT_PLAYLIST, target: self.target, measured: false };
        let after = self.listed.keys().map(|folder| format!("{folder}/{EVENT_PLAYLIST}"));
        Playlist {
            path: EVENT_PLAYLIST.into(),
            head: hls::master(&self.plan, &tracks, &[], form),
            after: after.collect(),
            segments: Vec::new(),
        }
    }
}

fn playlist(folder: &str, init: &Init, segments: &[Segment], listed: usize, target: u64) -> Playlist {
    let new = segments.iter().skip(listed);
    Playlist {
        path: format!("{folder}/{EVENT_PLAYLIST}"),
        head: hls::event_head(target),
        after: vec![format!("{folder}/{INIT}")],
        segments: new
            .map(|segment| (format!("{folder}/{}", segment.name), hls::entry(segment, init.timescale)))
            .collect(),
    }
}
