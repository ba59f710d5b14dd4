//! What can be played while the task still encodes, and what is left of it when the task dies.

use std::sync::Arc;

use m3u8_rs::{MasterPlaylist, MediaPlaylist, MediaPlaylistType, Playlist};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Notify;
use transcode_config::contract::{Stage, TaskState};
use transcode_tests::s3_faults::Fault;

use crate::fixture::{Fixture, NEVER};

async fn playlist(fixture: &Fixture, key: &str) -> Playlist {
    let bytes = fixture.bytes(&fixture.outputs, key).await.unwrap_or_else(|| panic!("there is no {key}"));
    m3u8_rs::parse_playlist_res(&bytes).unwrap()
}

async fn master(fixture: &Fixture, key: &str) -> MasterPlaylist {
    match playlist(fixture, key).await {
        Playlist::MasterPlaylist(master) => master,
        Playlist::MediaPlaylist(media) => panic!("{media:?}"),
    }
}

async fn media(fixture: &Fixture, key: &str) -> MediaPlaylist {
    match playlist(fixture, key).await {
        Playlist::MediaPlaylist(media) => media,
        Playlist::MasterPlaylist(master) => panic!("{master:?}"),
    }
}

/// The process that encodes.
fn encoder(fixture: &Fixture) -> Pid {
    let scratch = fixture.scratch.path().to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let ours = line.contains("libx264") && line.contains(scratch);
        ours.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    });
    Pid::from_raw(found.into_iter().next().expect("no encoder")).unwrap()
}

/// Whatever a growing playlist names is there, and it is not at its end.
async fn assert_grows(fixture: &Fixture, folder: &str, listed: &MediaPlaylist) {
    assert_eq!(listed.playlist_type, Some(MediaPlaylistType::Event));
    assert!(!listed.end_list);
    let header = listed.segments[0].map.as_ref().unwrap().uri.clone();
    for name in listed.segments.iter().map(|segment| &segment.uri).chain([&header]) {
        assert!(
            fixture.bytes(&fixture.outputs, &format!("{folder}{name}")).await.is_some(),
            "{folder}{name}"
        );
    }
}

#[tokio::test]
async fn the_first_segments_can_be_played_while_the_rest_is_made_and_a_dying_task_takes_them_away() {
    let mut fixture = Fixture::slow("early").await;
    fixture.profile().playable_early = true;
    fixture.profile().preset = "medium".into();
    let gate = Arc::new(Notify::new());
    fixture.proxy.fault("PUT", "/video/360p/00003.m4s", 1, Fault::Hold(Arc::clone(&gate)));
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    let (own, held) = (
        format!("{}{}", fixture.spec.output.prefix, fixture.layout().folder(attempt)),
        "/video/360p/00003.m4s",
    );
    // The third segment is on its way and does not arrive. The audio goes on; the video waits. Then the encoder is
    // stopped, or on a fast machine it would be done before the test is.
    let heard = fixture.until("three segments of audio", async || {
        let bytes = fixture.bytes(&fixture.outputs, &format!("{own}audio/main/early.m3u8")).await?;
        let listed = m3u8_rs::parse_media_playlist_res(&bytes).unwrap();
        (listed.segments.len() >= 3 && fixture.proxy.hits(held) > 0).then_some(listed)
    });
    let heard = heard.await;
    let encoder = encoder(&fixture);
    kill_process(encoder, Signal::STOP).unwrap();
    let beat = fixture.until("something can be played", async || {
        fixture.heartbeat(attempt).await.filter(|beat| beat.playable.is_some())
    });
    let beat = beat.await;
    assert_eq!((beat.stage, &beat.state), (Stage::Transcoding, &TaskState::Working));
    let key = beat.playable.unwrap();
    let folder = key.strip_suffix("early.m3u8").unwrap();
    assert_eq!(folder, own, "S4");

    let master = master(&fixture, &key).await;
    let [variant] = master.variants.as_slice() else { panic!("{master:?}") };
    assert_eq!(master.alternatives[0].uri.as_deref(), Some("audio/main/early.m3u8"));
    assert!(variant.bandwidth >= 150_000, "at least the cap: {}", variant.bandwidth);
    let seen = media(&fixture, &format!("{folder}{}", variant.uri)).await;
    let names: Vec<_> = seen.segments.iter().map(|segment| segment.uri.as_str()).collect();
    assert_eq!(names, ["00001.m4s", "00002.m4s"], "what has not arrived is not listed");
    assert_grows(&fixture, &format!("{folder}video/360p/"), &seen).await;
    assert_grows(&fixture, &format!("{folder}audio/main/"), &heard).await;
    gate.notify_waiters();
    fixture
        .until("the video goes on", async || {
            let listed = media(&fixture, &format!("{folder}{}", variant.uri)).await;
            (listed.segments.len() > 2).then_some(())
        })
        .await;
    assert_eq!(fixture.terminal().await, None);
    let published = fixture.published().await;
    assert!(published.iter().all(|key| key.starts_with(&own)), "nothing has a stable name: {published:?}");

    kill_process(encoder, Signal::CONT).unwrap();
    task.signal(Signal::TERM);
    assert_eq!(task.exit().await, Some(13), "{}", task.log());
    assert_eq!(fixture.published().await, Vec::<String>::new(), "{}", task.log());
    let last = fixture.heartbeat(attempt).await.unwrap();
    assert_eq!((last.state, last.playable), (TaskState::Interrupted, None));
}

#[tokio::test]
async fn what_could_be_played_early_is_sealed_when_the_job_is_decided() {
    let mut fixture = Fixture::new("sealed").await;
    fixture.profile().playable_early = true;
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    let result = crate::publish::succeeded(&fixture).await;
    crate::publish::assert_published(&fixture, &result).await;
    let master = master(&fixture, &format!("{}early.m3u8", result.folder)).await;
    let variants = master.variants.iter().map(|variant| variant.uri.clone());
    for uri in variants.chain(master.alternatives.iter().filter_map(|other| other.uri.clone())) {
        let last = media(&fixture, &format!("{}{uri}", result.folder)).await;
        assert!(last.end_list, "{uri}");
    }
    for track in ["video/144p", "audio/main"] {
        let early = media(&fixture, &format!("{}{track}/early.m3u8", result.folder)).await;
        assert_eq!(early.playlist_type, Some(MediaPlaylistType::Vod));
        assert_eq!(early, media(&fixture, &format!("{}{track}/index.m3u8", result.folder)).await);
    }
}
