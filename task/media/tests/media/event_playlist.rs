//! Playlists for players that begin before the encoder ends.

use transcode_config::ladder::Profile;
use transcode_media::Event;

use crate::support::{Run, clip, ffmpeg, quick, run};

#[tokio::test]
async fn playlists_grow_only_at_their_ends_and_name_what_was_announced() {
    let profile = Profile { playable_early: true, ..quick() };
    let run = run(&clip(), &profile).await;
    run.package();
    let (mut ready, mut texts, mut masters) = (Vec::new(), std::collections::BTreeMap::new(), 0);
    for event in &run.events {
        match event {
            Event::FileReady(path) => ready.push(path.to_str().unwrap().to_owned()),
            Event::Playable(playlist) => {
                let segments = playlist.segments.iter().map(|(path, _)| path);
                for path in segments.chain(&playlist.after) {
                    assert!(ready.contains(path), "{path} is named before it is there");
                }
                masters += usize::from(playlist.path == "early.m3u8");
                ready.push(playlist.path.clone());
                let text: &mut String = texts.entry(playlist.path.clone()).or_insert(playlist.head.clone());
                assert!(text.starts_with(&playlist.head), "{text}");
                text.extend(playlist.segments.iter().map(|(_, lines)| lines.as_str()));
            }
            _ => {}
        }
    }
    assert_eq!(masters, 1);
    for track in ["video/90p", "video/180p", "audio/main"] {
        let event = &texts[&format!("{track}/early.m3u8")];
        let vod = run.text(&format!("{track}/early.m3u8"));
        assert!(event.contains("EXT-X-PLAYLIST-TYPE:EVENT") && !event.contains("ENDLIST"), "{event}");
        assert!(vod.starts_with(&event.replace(":EVENT", ":VOD")), "{event} became {vod}");
        assert!(vod.ends_with("#EXT-X-ENDLIST\n"), "{vod}");
        assert_eq!(vod, run.text(&format!("{track}/index.m3u8")));
    }
    let early = &texts["early.m3u8"];
    assert!(early.contains("\n#EXT-X-START:TIME-OFFSET=0\n"), "players begin near the end: {early}");
    let declared = |text: &str, line: usize| {
        let line = text.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF:")).nth(line).unwrap();
        let value = line.split("BANDWIDTH=").nth(1).unwrap();
        value.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let sealed = run.text("early.m3u8");
    for line in 0..2 {
        assert!(declared(early, line) >= declared(&sealed, line), "{early} promises less than {sealed}");
    }
    assert!(sealed.contains("\nvideo/180p/index.m3u8\n") && sealed.contains("I-FRAME"), "{sealed}");
}

/// The target duration of a track's sealed playlist: what the early ones have is held against it by `hls.early`.
fn target(run: &Run, track: &str) -> String {
    let text = run.text(&format!("{track}/early.m3u8"));
    text.lines().find_map(|line| line.strip_prefix("#EXT-X-TARGETDURATION:")).unwrap().to_owned()
}

#[tokio::test]
async fn the_target_duration_is_the_planned_one_whatever_comes() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    // Two frames last 1.4985 s and so does a segment; some segments of audio last 71 AAC frames, 1.515 s.
    let inputs =
        ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=40000/29970", "-f", "lavfi", "-i", "sine=r=48000"];
    ffmpeg(&inputs, "-t 12 -c:v libx264 -preset ultrafast -c:a pcm_s16le", &source);
    let uneven = Profile { playable_early: true, segment_gops: 2, ..quick() };
    let made = run(&source, &uneven).await;
    made.package();
    for track in ["video/180p", "audio/main"] {
        assert_eq!(target(&made, track), "2", "{track}");
    }
    // Shorter than one segment.
    let short = Profile { playable_early: true, gop_seconds: 4, ..quick() };
    let made = run(&clip(), &short).await;
    made.package();
    assert_eq!(target(&made, "video/180p"), "8");
}
