//! Playlists for players that begin before the encoder ends.

use transcode_config::ladder::Profile;
use transcode_task::media::Event;

use crate::support::{clip, quick, run};

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
