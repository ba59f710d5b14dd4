//! Uploads EVENT playlists while the job runs. They lie in the attempt's own folder, and each is stored only after S3
//! has acknowledged every file that it names. Stable names come later, after the terminal record.

use std::collections::BTreeMap;

use transcode_media::{EVENT_MASTER, Playlist};

use super::{
    heartbeat::Heart,
    upload::{EVENT_PLAYLIST_META, Uploads},
};

/// The playlists as they grow.
#[derive(Debug, Default)]
pub(crate) struct GrowingPlaylists {
    playlists: BTreeMap<String, Growing>,
    said: bool,
}

/// One of them.
#[derive(Debug)]
struct Growing {
    playlist: Playlist,
    /// Number of segments in the version that is stored or being stored; none before the first.
    released: Option<usize>,
}

impl GrowingPlaylists {
    /// Adds new lines to a playlist.
    pub(crate) fn take(&mut self, news: Playlist) {
        match self.playlists.get_mut(&news.path) {
            Some(growing) => growing.playlist.segments.extend(news.segments),
            None => {
                self.playlists.insert(news.path.clone(), Growing { playlist: news, released: None });
            }
        }
    }

    /// Starts to store the playlists whose files are all stored, and reports the master playlist to the heartbeat
    /// once it is.
    pub(crate) fn release(&mut self, uploads: &mut Uploads, heart: &Heart) {
        let is_stored = |path: &str| uploads.stored().contains_key(path);
        for (path, text) in self.ready(is_stored, |path| uploads.is_being_replaced(path)) {
            uploads.replace(path, text, EVENT_PLAYLIST_META);
        }
        if !self.said && uploads.stored().contains_key(EVENT_MASTER) {
            self.said = true;
            heart.playable(uploads.key(EVENT_MASTER));
        }
    }

    /// Paths and texts of the playlists that can list more segments than before.
    fn ready(
        &mut self,
        is_stored: impl Fn(&str) -> bool,
        is_being_replaced: impl Fn(&str) -> bool,
    ) -> Vec<(String, String)> {
        let mut ready = Vec::new();
        for (path, Growing { playlist, released }) in &mut self.playlists {
            if is_being_replaced(path) || !playlist.after.iter().all(|path| is_stored(path)) {
                continue;
            }
            let segments = playlist.segments.iter().skip(released.unwrap_or(0));
            let there = released.unwrap_or(0) + segments.take_while(|(path, _)| is_stored(path)).count();
            let playable = there > 0 || playlist.segments.is_empty();
            if playable && *released != Some(there) {
                *released = Some(there);
                let lines = playlist.segments.iter().take(there).map(|(_, lines)| lines.as_str());
                ready.push((path.clone(), playlist.head.clone() + &lines.collect::<String>()));
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(segments: &[&str]) -> Playlist {
        Playlist {
            path: "v/early.m3u8".into(),
            head: "head ".into(),
            after: vec!["v/init.mp4".into()],
            segments: segments.iter().map(|path| ((*path).to_owned(), format!("{path} "))).collect(),
        }
    }

    fn ready(playlists: &mut GrowingPlaylists, stored: &[&str]) -> Vec<String> {
        playlists.ready(|path| stored.contains(&path), |_| false).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_segment_is_listed_once_it_and_those_in_front_of_it_are_there() {
        let mut playlists = GrowingPlaylists::default();
        playlists.take(playlist(&["1", "2"]));
        playlists.take(playlist(&["3"]));
        assert!(ready(&mut playlists, &["1", "2"]).is_empty(), "the header is missing");
        assert!(ready(&mut playlists, &["v/init.mp4", "2"]).is_empty(), "the first segment is missing");
        assert_eq!(ready(&mut playlists, &["v/init.mp4", "1", "3"]), ["head 1 "]);
        assert!(ready(&mut playlists, &["v/init.mp4", "1", "3"]).is_empty(), "nothing is new");
        assert_eq!(ready(&mut playlists, &["v/init.mp4", "1", "2", "3"]), ["head 1 2 3 "]);
    }

    #[test]
    fn a_playlist_of_playlists_comes_after_them_and_once() {
        let mut playlists = GrowingPlaylists::default();
        playlists.take(Playlist { segments: vec![], ..playlist(&[]) });
        assert!(ready(&mut playlists, &[]).is_empty());
        assert_eq!(ready(&mut playlists, &["v/init.mp4"]), ["head "]);
        assert!(ready(&mut playlists, &["v/init.mp4"]).is_empty());
    }

    #[test]
    fn two_writes_of_one_path_are_never_under_way() {
        let mut playlists = GrowingPlaylists::default();
        playlists.take(playlist(&["1"]));
        assert!(playlists.ready(|_| true, |path| path == "v/early.m3u8").is_empty());
        assert_eq!(playlists.ready(|_| true, |_| false).len(), 1);
    }
}
