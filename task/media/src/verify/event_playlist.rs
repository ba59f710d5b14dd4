//! Compares the EVENT playlists that players saw while the encoder worked with the final ones at the same addresses.

use std::{collections::BTreeMap, path::Path};

use super::{
    playlist,
    report::{Check, Verification},
};
use crate::package::event_playlist::EVENT_PLAYLIST;

const RULE: &str = "hls.early";

/// A check for each playlist in `said`, whose values are texts by path. Lines were only added to a media playlist;
/// the master playlist led to the same renditions and declared no lower rates than they need.
pub fn check(root: &Path, said: &BTreeMap<String, String>) -> Vec<Check> {
    let mut report = Verification::default();
    for (path, growing) in said {
        let sealed = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        if path == EVENT_PLAYLIST {
            led_to_the_same(path, growing, &sealed, &mut report);
        } else {
            only_added_to(path, growing, &sealed, &mut report);
        }
    }
    report.checks
}

/// Compares line by line: segments, durations, header and target duration, because a client need not read these
/// again.
fn only_added_to(path: &str, growing: &str, sealed: &str, report: &mut Verification) {
    let growing = growing.replace(":EVENT\n", ":VOD\n");
    let common =
        growing.lines().zip(sealed.lines()).take_while(|(growing, sealed)| growing == sealed).count();
    let lines = growing.lines().count();
    let first = growing.lines().nth(common).unwrap_or_default();
    report.check(
        RULE,
        path,
        common == lines,
        format!("{common} of {lines} lines as they were; then {first:?}"),
        "the same lines, and more behind them",
    );
}

fn led_to_the_same(path: &str, growing: &str, sealed: &str, report: &mut Verification) {
    // Folder of each rendition, and its rate.
    let renditions = |text: &str| -> Vec<(String, u64)> {
        let entries = playlist::master(text).unwrap_or_default().into_iter();
        let growing = entries.filter(|entry| {
            let kind = entry.attributes.get("TYPE").map(String::as_str);
            entry.tag == "STREAM-INF" || kind == Some("AUDIO")
        });
        let folder = |uri: &str| uri.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        growing.map(|entry| (folder(&entry.uri), entry.number("BANDWIDTH").unwrap_or(0))).collect()
    };
    let (growing, sealed) = (renditions(growing), renditions(sealed));
    let same = growing.iter().map(|(folder, _)| folder).eq(sealed.iter().map(|(folder, _)| folder));
    let enough = growing.iter().zip(&sealed).all(|((_, growing), (_, sealed))| growing >= sealed);
    report.check(
        RULE,
        path,
        same && enough && !growing.is_empty(),
        format!("{growing:?} became {sealed:?}"),
        "the same renditions, with rates no lower than measured",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK: &str = "video/a/early.m3u8";
    const LINES: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:2.0,\n1.m4s\n";
    const MASTER: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nvideo/a/early.m3u8\n";

    /// Whether all holds for what was said, and for what is there now.
    fn holds(said: [&str; 2], sealed: [&str; 2]) -> bool {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("video/a")).unwrap();
        let paths = [TRACK, EVENT_PLAYLIST];
        for (path, text) in paths.iter().zip(sealed) {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        let said = paths.iter().zip(said).map(|(path, text)| ((*path).to_owned(), text.to_owned())).collect();
        let checks = check(root.path(), &said);
        assert_eq!(checks.len(), 2);
        checks.iter().all(|check| check.passed)
    }

    #[test]
    fn what_was_said_early_may_only_be_added_to() {
        let vod = LINES.replace("EVENT", "VOD") + "#EXTINF:1.0,\n2.m4s\n#EXT-X-ENDLIST\n";
        let master = MASTER.replace("early", "index").replace('9', "8");
        assert!(holds([LINES, MASTER], [&vod, &master]));
        for (from, to) in
            [("TARGETDURATION:2", "TARGETDURATION:3"), ("INF:2.0", "INF:2.1"), ("1.m4s", "3.m4s")]
        {
            assert!(!holds([LINES, MASTER], [&vod.replacen(from, to, 1), &master]), "{to}");
        }
        assert!(
            !holds([&(LINES.to_owned() + "#EXTINF:1.0,\n9.m4s\n"), MASTER], [&vod, &master]),
            "a segment is gone"
        );
        for (from, to) in [("BANDWIDTH=8", "BANDWIDTH=10"), ("video/a", "video/b")] {
            assert!(!holds([LINES, MASTER], [&vod, &master.replace(from, to)]), "{to}");
        }
        for sealed in [&master, "#EXTM3U\n"] {
            assert!(!holds([LINES, ""], [&vod, sealed]), "nothing was said");
        }
    }
}
