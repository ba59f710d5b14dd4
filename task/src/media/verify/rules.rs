//! The rules.
//!
//! | id | what must hold | source |
//! |---|---|---|
//! | `track.start` | the first picture or sound is shown at 0, and an edit list does no more than that | CMAF 7.5.13 |
//! | `track.offsets` | no sample is shown before it is decoded: players disagree about those | design |
//! | `track.continuous` | each fragment begins where the one before ended | CMAF 6.6.8 |
//! | `video.frames` | as many frames as planned | design |
//! | `track.duration` | within one frame of the plan | design |
//! | `video.upright` | the picture is not turned by the player | design |
//! | `video.key-frames` | one key frame a group, at its start | 1.13, 6.10 |
//! | `video.alignment` | groups begin at the same times in every rung | 1.15 |
//! | `hls.complete` | the playlist is closed and is not empty | RFC 8216 |
//! | `hls.extinf` | within a frame of the segment | 8.1 |
//! | `hls.target-duration` | no segment rounds to more; the same everywhere | 8.2 |
//! | `hls.codecs` | what the sample entries say | 9.13 |
//! | `hls.resolution` | what the sample entries say | 9.15 |
//! | `hls.bandwidth`, `hls.average-bandwidth` | within 10 % of what is measured | 1.26, 1.27 |
//! | `hls.i-frames` | each range is a moof and one key frame | 6.1, 6.10 |
//! | `text.duration`, `text.segments` | as long as the video; every segment is `WebVTT` | 5.1 |
//! | `dash.timeline` | as many segments as there are, each as long as it is, back to back | ISO/IEC 23009-1, 5.3.9.6 |
//! | `dash.addresses` | every address leads to a file of the package | design |
//! | `hls.addresses` | every address leads to a file of the package | design |
//! | `progressive.index-first` | playing can begin before the whole file is there | design |
//! | `progressive.tracks`, `.frames`, `.duration`, `.start`, `.upright` | as planned, and like the streams | design |

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    MASTER, dash,
    playlist::{self, Entry},
    progressive,
    report::Report,
    track::{self, Measured, bad},
};
use crate::media::{
    package::{
        codecs::{codec_string, picture_size},
        hls::{self, Bandwidth},
    },
    plan::{AAC_FRAME, Plan, SAMPLE_RATE},
    rational::{float, round_to_u64},
};

/// How far a declared bandwidth may be from the measured one.
const BANDWIDTH_TOLERANCE: f64 = 0.10;

pub(super) fn all(root: &Path, folder: &str, plan: &Plan, report: &mut Report) -> io::Result<()> {
    let mut video = Vec::new();
    if let Some(planned) = &plan.video {
        for rung in &planned.renditions {
            let name = format!("video/{}", rung.name);
            let measured = track::read(root, &name)?;
            let frame = 1.0 / rung.rate.value();
            report.same("video.frames", &name, &measured.samples, &planned.frames_of(rung));
            each_track(
                report,
                &name,
                &measured,
                plan.seconds,
                frame * f64::from(rung.frame_step.max(1)),
                frame,
            );
            report.check("video.upright", &name, !measured.turned, measured.turned, false);
            report.check("video.key-frames", &name, measured.bad_groups == 0, measured.bad_groups, 0);
            key_frame_ranges(root, &name, &measured, report)?;
            video.push((name, measured));
        }
    }
    let mut audio = Vec::new();
    for sound in &plan.audio {
        let name = format!("audio/{}", sound.name);
        let measured = track::read(root, &name)?;
        let frame = f64::from(AAC_FRAME) / f64::from(SAMPLE_RATE);
        each_track(report, &name, &measured, plan.seconds, 2.0 * frame, frame);
        audio.push((name, measured));
    }
    alignment(&video, report);
    target_durations(&video, &audio, report);
    master(root, folder, plan.seconds, &video, &audio, report)?;
    progressive::check(root, plan, report)?;
    let tracks: Vec<_> = video.iter().chain(&audio).map(|(name, track)| (name.as_str(), track)).collect();
    dash::check(root, folder, &tracks, report)
}

fn each_track(report: &mut Report, name: &str, track: &Measured, wanted: f64, tolerance: f64, frame: f64) {
    let start = track.seconds(track.first);
    report.check("track.start", name, track.first == 0 && track.plain_edits, format!("{start:.6}"), "0");
    report.check("track.offsets", name, track.early == 0, track.early, 0);
    report.check("track.continuous", name, track.gaps == 0, track.gaps, 0);
    report.near("track.duration", name, track.seconds(track.end), wanted, tolerance);
    let playlist = &track.playlist;
    let complete = playlist.ended && !playlist.parts.is_empty();
    report.check("hls.complete", name, complete, playlist.parts.len(), "closed, at least 1 segment");
    let declared = playlist.parts.iter().zip(&track.segments);
    let worst = declared.map(|(part, (_, ticks))| (part.seconds - ticks_to_seconds(track, *ticks)).abs());
    let worst = worst.fold(0.0, f64::max);
    report.check("hls.extinf", name, worst <= frame, format!("{worst:.6}"), format!("at most {frame:.6}"));
}

fn ticks_to_seconds(track: &Measured, ticks: u64) -> f64 {
    float(ticks) / f64::from(track.timescale)
}

fn alignment(video: &[(String, Measured)], report: &mut Report) {
    let Some((_, first)) = video.first() else { return };
    let starts = |track: &Measured| -> Vec<u64> {
        // Nanoseconds: clocks may differ between rungs.
        track.groups.iter().map(|&start| round_to_u64(ticks_to_seconds(track, start) * 1e9)).collect()
    };
    let wanted = starts(first);
    for (name, track) in video {
        let own = starts(track);
        let differing =
            own.iter().zip(&wanted).filter(|(a, b)| a != b).count() + own.len().abs_diff(wanted.len());
        report.check("video.alignment", name, differing == 0, format!("{differing} groups differ"), 0);
    }
}

fn target_durations(video: &[(String, Measured)], audio: &[(String, Measured)], report: &mut Report) {
    let common = video.iter().chain(audio).find_map(|(_, track)| track.playlist.target);
    for (name, track) in video.iter().chain(audio) {
        let longest =
            track.segments.iter().map(|(_, ticks)| round_to_u64(ticks_to_seconds(track, *ticks))).max();
        let target = track.playlist.target;
        report.check(
            "hls.target-duration",
            name,
            target.is_some() && target == common && longest <= target,
            format!("{} for segments of up to {} s", target.unwrap_or(0), longest.unwrap_or(0)),
            format!("the same for all ({}), and no segment longer", common.unwrap_or(0)),
        );
    }
}

fn key_frame_ranges(root: &Path, name: &str, track: &Measured, report: &mut Report) -> io::Result<()> {
    let folder = root.join(name);
    let text = std::fs::read_to_string(folder.join("iframes.m3u8"))?;
    let list = playlist::media(&text).ok_or_else(|| bad("the I-frame playlist cannot be read"))?;
    let mut wrong = track.groups.len().abs_diff(list.parts.len());
    for part in &list.parts {
        let mut file = File::open(track::inside(&folder, &part.uri)?)?;
        let size = file.metadata()?.len();
        let Some((length, offset)) = part.range else {
            wrong += 1;
            continue;
        };
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut head)?;
        let moof = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let fits = offset.checked_add(length).is_some_and(|end| end <= size);
        // The moof, the header of the mdat and at least one byte of the frame.
        wrong += usize::from(!(fits && head.ends_with(b"moof") && length > moof + 8));
    }
    let passed = wrong == 0 && list.key_frames_only && list.ended;
    report.check("hls.i-frames", name, passed, format!("{wrong} wrong of {}", list.parts.len()), 0);
    Ok(())
}

fn master(
    root: &Path,
    folder: &str,
    seconds: f64,
    video: &[(String, Measured)],
    audio: &[(String, Measured)],
    report: &mut Report,
) -> io::Result<()> {
    let text = std::fs::read_to_string(root.join(MASTER))?;
    let entries = playlist::master(&text).ok_or_else(|| bad("the master playlist cannot be read"))?;
    let found = |uri: &str| {
        let path = uri.strip_prefix(folder)?;
        let track = path.strip_suffix("/index.m3u8").or_else(|| path.strip_suffix("/iframes.m3u8"))?;
        video.iter().chain(audio).find(|(name, _)| name == track)
    };
    let is_text = |entry: &Entry| entry.attributes.get("TYPE").is_some_and(|kind| kind == "SUBTITLES");
    let lost = entries.iter().filter(|entry| !is_text(entry) && found(&entry.uri).is_none()).count();
    report.check("hls.addresses", MASTER, lost == 0, lost, 0);
    for entry in entries.iter().filter(|entry| is_text(entry)) {
        texts(root, entry.uri.strip_prefix(folder).unwrap_or("?"), seconds, report)?;
    }
    let listed = |tag: &str| entries.iter().filter(|entry| entry.tag == tag && !is_text(entry)).count();
    let variants = if video.is_empty() { 1 } else { video.len() };
    report.same("hls.variants", MASTER, &listed("STREAM-INF"), &variants);
    report.same("hls.renditions", MASTER, &listed("MEDIA"), &audio.len());
    let target = video.iter().chain(audio).find_map(|(_, track)| track.playlist.target).unwrap_or(1);
    let loudest = audio
        .iter()
        .map(|(_, track)| bandwidth(track, target))
        .fold((0, 0), |most, one| (most.0.max(one.peak), most.1.max(one.average)));
    for entry in entries.iter().filter(|entry| entry.tag == "STREAM-INF") {
        let Some((name, track)) = found(&entry.uri) else { continue };
        let own = bandwidth(track, target);
        let with_sound = if video.is_empty() { (0, 0) } else { loudest };
        declared(report, "hls.bandwidth", name, entry.number("BANDWIDTH"), own.peak + with_sound.0);
        let average = own.average + with_sound.1;
        declared(report, "hls.average-bandwidth", name, entry.number("AVERAGE-BANDWIDTH"), average);
        let sound = if video.is_empty() { None } else { audio.first() };
        description(report, name, entry, track, sound.map(|(_, track)| track));
    }
    Ok(())
}

/// A text rendition: as long as the video, and every segment is `WebVTT`.
fn texts(root: &Path, path: &str, seconds: f64, report: &mut Report) -> io::Result<()> {
    let folder = root.join(path.strip_suffix("/index.m3u8").unwrap_or(path));
    let list = playlist::media(&std::fs::read_to_string(root.join(path))?);
    let list = list.ok_or_else(|| bad("a text playlist cannot be read"))?;
    let mut total = 0.0;
    let mut wrong = 0_usize;
    for part in &list.parts {
        total += part.seconds;
        let text = std::fs::read_to_string(track::inside(&folder, &part.uri)?)?;
        wrong += usize::from(!text.starts_with("WEBVTT\n") || part.seconds > float(list.target.unwrap_or(0)));
    }
    report.near("text.duration", path, total, seconds, 0.001);
    report.check("text.segments", path, wrong == 0 && list.ended, format!("{wrong} wrong"), 0);
    Ok(())
}

fn bandwidth(track: &Measured, target: u64) -> Bandwidth {
    hls::measure(track.segments.iter().map(|&(bytes, ticks)| (bytes, ticks_to_seconds(track, ticks))), target)
}

fn declared(report: &mut Report, rule: &'static str, name: &str, declared: Option<u64>, measured: u64) {
    let declared = declared.unwrap_or(0);
    let off = (float(declared) / float(measured.max(1)) - 1.0).abs();
    report.check(
        rule,
        name,
        off <= BANDWIDTH_TOLERANCE,
        format!("declared {declared}, measured {measured}"),
        "within 10 %",
    );
}

fn description(report: &mut Report, name: &str, entry: &Entry, track: &Measured, sound: Option<&Measured>) {
    let codecs = std::iter::once(track).chain(sound).filter_map(|track| codec_string(&track.codec));
    let codecs = codecs.collect::<Vec<_>>().join(",");
    let attribute = |key: &str| entry.attributes.get(key).cloned().unwrap_or_default();
    report.check(
        "hls.codecs",
        name,
        !codecs.is_empty() && attribute("CODECS") == codecs,
        attribute("CODECS"),
        &codecs,
    );
    if let Some((width, height)) = picture_size(&track.codec) {
        report.same("hls.resolution", name, &attribute("RESOLUTION"), &format!("{width}x{height}"));
        let rate = f64::from(track.timescale) / f64::from(track.longest_sample.max(1));
        let declared = attribute("FRAME-RATE").parse().unwrap_or(0.0);
        report.near("hls.frame-rate", name, declared, rate, 0.001);
    }
}
