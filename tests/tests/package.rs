//! The published package, read from the production bucket with parsers that are not ours: m3u8-rs, dash-mpd-core,
//! ffprobe, ffmpeg.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use m3u8_rs::{MasterPlaylist, MediaPlaylist, Playlist};
use transcode_config::contract::Outcome;
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(4);
const KEY: &str = "eight seconds.mp4";

/// Publishes more than one segment of the real clip, in more than one rung, and copies it to disk.
async fn published() -> (Stack, PathBuf) {
    let stack = Stack::with(StackOptions::default()).await.unwrap();
    let source = stack.folder().join("source.mp4");
    let clip = paths::clip().unwrap();
    // The clip lasts 5.3 s: once more from the start makes it longer than a segment.
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-stream_loop", "1", "-i"]).arg(&clip);
    ffmpeg.args(["-t", "8", "-vf", "scale=640:360", "-preset", "ultrafast", "-y"]).arg(&source);
    assert!(ffmpeg.status().unwrap().success());
    stack.put_source(KEY, &source).await.unwrap();
    let terminal = stack.wait_for_terminal_record(KEY, LIMIT).await.unwrap();
    assert!(matches!(terminal.outcome, Outcome::Succeeded(_)), "{terminal:?}");
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    let prefix = format!("videos/{KEY}/");
    let copy = stack.folder().join("published");
    for key in stack.published(&prefix).await.unwrap().into_keys() {
        let path = copy.join(key.strip_prefix(&prefix).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = stack.read(&stack.deployment.production_bucket, &key).await.unwrap().unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    (stack, copy)
}

fn media(path: &Path) -> MediaPlaylist {
    match m3u8_rs::parse_playlist_res(&std::fs::read(path).unwrap()) {
        Ok(Playlist::MediaPlaylist(media)) => media,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// Largest and average rate of a rendition's segments, in bits a second.
fn rates(playlist: &Path) -> (f64, f64) {
    let folder = playlist.parent().unwrap();
    let (mut peak, mut bits, mut seconds) = (0_f64, 0_f64, 0_f64);
    for segment in media(playlist).segments {
        let size = std::fs::metadata(folder.join(&segment.uri)).unwrap().len();
        let (size, duration) = (f64::from(u32::try_from(size).unwrap()) * 8.0, f64::from(segment.duration));
        peak = peak.max(size / duration);
        bits += size;
        seconds += duration;
    }
    (peak, bits / seconds)
}

/// A rendition as one file, and its packets by ffprobe: (time, is key).
fn packets(playlist: &Path) -> Vec<(f64, bool)> {
    let (folder, list) = (playlist.parent().unwrap(), media(playlist));
    let init = list.segments.iter().find_map(|segment| segment.map.as_ref()).unwrap().uri.clone();
    let names = std::iter::once(init).chain(list.segments.iter().map(|segment| segment.uri.clone()));
    let whole: Vec<u8> = names.flat_map(|name| std::fs::read(folder.join(name)).unwrap()).collect();
    let file = folder.join("whole.mp4");
    std::fs::write(&file, whole).unwrap();
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let row = |line: &str| {
        let (time, flags) = line.split_once(',')?;
        Some((time.parse().ok()?, flags.starts_with('K')))
    };
    text.lines().filter_map(row).collect()
}

/// The DASH manifest lists the same renditions and segments as the HLS playlists, over the same time, and each segment
/// exists.
fn manifest_agrees(copy: &Path, master: &MasterPlaylist) {
    let text = std::fs::read_to_string(copy.join("manifest.mpd")).unwrap();
    let manifest = dash_mpd_core::parse(&text).unwrap();
    assert_eq!(manifest.mpdtype.as_deref(), Some("static"));
    let whole = manifest.mediaPresentationDuration.unwrap().as_secs_f64();
    let [period] = manifest.periods.as_slice() else { panic!("{} periods", manifest.periods.len()) };

    let mut listed = BTreeMap::new();
    for set in &period.adaptations {
        for representation in &set.representations {
            let template = representation.SegmentTemplate.as_ref().unwrap();
            let initialization = template.initialization.as_ref().unwrap();
            assert!(copy.join(initialization).is_file(), "{initialization}");
            let timeline = template.SegmentTimeline.as_ref().unwrap();
            let durations: Vec<u64> = timeline
                .segments
                .iter()
                .flat_map(|s| std::iter::repeat_n(s.d, 1 + usize::try_from(s.r.unwrap_or(0)).unwrap()))
                .collect();
            let scale = f64::from(u32::try_from(template.timescale.unwrap()).unwrap());
            let lasts = f64::from(u32::try_from(durations.iter().sum::<u64>()).unwrap()) / scale;
            assert!((lasts - whole).abs() < 0.1, "{initialization}: {lasts} s of {whole} s");
            let (head, tail) = template.media.as_ref().unwrap().split_once("$Number%05d$").unwrap();
            let names: Vec<String> = (template.startNumber.unwrap()..)
                .take(durations.len())
                .map(|number| format!("{head}{number:05}{tail}"))
                .collect();
            for name in &names {
                assert!(copy.join(name).is_file(), "{name}");
            }
            let size = representation.width.zip(representation.height);
            listed.insert(names, (size, representation.codecs.clone().or_else(|| set.codecs.clone())));
        }
    }

    let segments = |uri: &str| -> Vec<String> {
        let folder = uri.rsplit_once('/').map_or("", |(folder, _)| folder);
        media(&copy.join(uri)).segments.iter().map(|segment| format!("{folder}/{}", segment.uri)).collect()
    };
    for variant in master.variants.iter().filter(|variant| !variant.is_i_frame) {
        let (size, codecs) = listed.remove(&segments(&variant.uri)).unwrap();
        assert_eq!(size, variant.resolution.map(|size| (size.width, size.height)), "{}", variant.uri);
        let video = variant.codecs.as_deref().and_then(|codecs| codecs.split(',').next());
        assert_eq!(codecs.as_deref(), video, "{}", variant.uri);
    }
    for sound in master.alternatives.iter().filter_map(|other| other.uri.as_deref()) {
        listed.remove(&segments(sound)).unwrap();
    }
    assert!(listed.is_empty(), "in DASH alone: {listed:?}");
}

#[tokio::test]
async fn the_published_package_is_what_its_playlists_say() {
    let (_stack, copy) = published().await;
    let bytes = std::fs::read(copy.join("master.m3u8")).unwrap();
    let Ok(Playlist::MasterPlaylist(master)) = m3u8_rs::parse_playlist_res(&bytes) else {
        panic!("no master")
    };
    manifest_agrees(&copy, &master);
    let audio = master.alternatives.iter().find_map(|other| other.uri.clone()).unwrap();
    let (audio_peak, audio_average) = rates(&copy.join(audio));

    let mut keys: Option<Vec<f64>> = None;
    let mut rungs = 0;
    for variant in master.variants.iter().filter(|variant| !variant.is_i_frame) {
        let playlist = copy.join(&variant.uri);
        let (peak, average) = rates(&playlist);
        for (declared, measured) in [
            (Some(variant.bandwidth), peak + audio_peak),
            (variant.average_bandwidth, average + audio_average),
        ] {
            let declared = f64::from(u32::try_from(declared.unwrap()).unwrap());
            let off = (declared - measured).abs() / measured;
            assert!(off < 0.10, "{}: declares {declared}, measured {measured}", variant.uri);
        }
        let packets = packets(&playlist);
        let (first, last) = packets
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), (time, _)| (low.min(*time), high.max(*time)));
        let frame = (last - first) / f64::from(u32::try_from(packets.len() - 1).unwrap());
        let declared: f64 = media(&playlist).segments.iter().map(|segment| f64::from(segment.duration)).sum();
        assert!(first.abs() < 0.001, "{} begins at {first}", variant.uri);
        let lasts = last - first + frame;
        assert!((declared - lasts).abs() < frame, "{} lasts {lasts}, declares {declared}", variant.uri);
        let own: Vec<f64> = packets.iter().filter(|(_, key)| *key).map(|(time, _)| *time).collect();
        let aligned =
            keys.get_or_insert_with(|| own.clone()).iter().zip(&own).all(|(a, b)| (a - b).abs() < 0.001);
        assert!(
            aligned && keys.as_ref().map(Vec::len) == Some(own.len()),
            "{}: keyframes {own:?}, elsewhere {keys:?}",
            variant.uri
        );
        rungs += 1;
    }
    assert!(rungs > 1, "one rung proves nothing about alignment");

    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-nostdin", "-i"])
        .arg(copy.join("master.m3u8"))
        .args(["-map", "0", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&decoded.stderr);
    assert!(decoded.status.success() && said.is_empty(), "every track decodes to its last frame: {said}");
}
