//! The rules.
//!
//! | id | what must hold | source |
//! |---|---|---|
//! | `track.start` | the first frame or sample is played at 0, and an edit list does no more than that | CMAF 7.5.13 |
//! | `track.offsets` | no sample is shown before it is decoded: players disagree about those | design |
//! | `track.continuous` | each fragment begins where the one before ended | CMAF 6.6.8 |
//! | `video.frames` | as many frames as planned | design |
//! | `track.duration` | within one frame of the plan | design |
//! | `video.upright` | the video is not turned by the player | design |
//! | `video.key-frames` | one key frame a group, at its start | 1.13, 6.10 |
//! | `video.range` | the colours in the sample entry are those of the rung; high range has 10 bits | ISO/IEC 14496-12, 12.1.5 |
//! | `hls.video-range`, `dash.transfer` | what the sample entries say | 9.16, ISO/IEC 23009-1, 5.8.5 |
//! | `video.alignment` | groups begin at the same times in every rung | 1.15 |
//! | `hls.complete` | the playlist is closed and is not empty | RFC 8216 |
//! | `hls.extinf` | within a frame of the segment | 8.1 |
//! | `hls.target-duration` | no segment rounds to more; the same everywhere | 8.2 |
//! | `hls.codecs`, `dash.codecs` | what the sample entries say | 9.13, ISO/IEC 23009-1, 5.3.7.2 |
//! | `hls.resolution`, `dash.resolution` | what the sample entries say | 9.15, ISO/IEC 23009-1, 5.3.7.2 |
//! | `hls.bandwidth`, `hls.average-bandwidth`, `dash.bandwidth` | within 10 % of what is measured | 1.26, 1.27 |
//! | `hls.i-frames` | each range is a moof and one key frame | 6.1, 6.10 |
//! | `text.duration`, `text.segments` | as long as the video; every segment is `WebVTT` | 5.1 |
//! | `dash.timeline` | as many segments as there are, each as long as it is, back to back | ISO/IEC 23009-1, 5.3.9.6 |
//! | `dash.addresses` | every address leads to a file of the package | design |
//! | `dash.channels` | as many channels as the decoder configurations say | ISO/IEC 23009-1, 5.8.5.4 |
//! | `hls.addresses` | every address leads to a file of the package | design |
//! | `listing.addresses`, `listing.complete` | every address in `manifest.json` leads to a file of the package; the manifests are listed | design |
//! | `hls.variants`, `hls.entries`, `hls.renditions` | each rung once for each audio group; each group has every track | design |
//! | `hls.early` | playlists for early playing were only added to, and promised no lower rates | RFC 8216, 6.2.1 |
//! | `hls.groups` | every group has the same members by name and language, and variants name no other | RFC 8216, 4.3.4.1.1 |
//! | `hls.channels` | what the decoder configuration says | RFC 8216, 4.3.4.1 |
//! | `audio.channels` | as planned | design |
//! | `progressive.index-first` | playing can begin before the whole file is there | design |
//! | `progressive.tracks`, `.frames`, `.duration`, `.start`, `.upright` | as planned, and like the streams | design |

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    dash, listing, master, playlist, progressive,
    report::Verification,
    track::{self, Measured, bad, ticks_to_seconds},
};
use crate::{
    examine::range::Range,
    package::codecs::{channels, colour, hevc_bits},
    plan::{AAC_FRAME, Plan, SAMPLE_RATE},
    rational::round_to_u64,
};

pub(super) fn all(root: &Path, folder: &str, plan: &Plan, report: &mut Verification) -> io::Result<()> {
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
            report.check("video.upright", &name, !measured.rotated, measured.rotated, false);
            report.check("video.key-frames", &name, measured.bad_groups == 0, measured.bad_groups, 0);
            range(report, &name, rung.range, &measured);
            key_frame_ranges(root, &name, &measured, report)?;
            video.push((name, measured));
        }
    }
    let mut audio = Vec::new();
    for planned in &plan.audio {
        let name = format!("audio/{}", planned.name);
        let measured = track::read(root, &name)?;
        let frame = f64::from(AAC_FRAME) / f64::from(SAMPLE_RATE);
        each_track(report, &name, &measured, plan.seconds, 2.0 * frame, frame);
        report.same("audio.channels", &name, &channels(&measured.codec).unwrap_or(0), &planned.channels);
        audio.push((name, measured));
    }
    alignment(&video, report);
    target_durations(&video, &audio, report);
    master::check(root, folder, plan, &video, &audio, report)?;
    progressive::check(root, plan, report)?;
    let tracks: Vec<_> = video.iter().chain(&audio).map(|(name, track)| (name.as_str(), track)).collect();
    dash::check(root, folder, &tracks, report)?;
    listing::check(root, folder, report)
}

fn each_track(
    report: &mut Verification,
    name: &str,
    track: &Measured,
    wanted: f64,
    tolerance: f64,
    frame: f64,
) {
    let start = track.seconds(track.first);
    report.check("track.start", name, track.first == 0 && track.plain_edits, format!("{start:.6}"), "0");
    report.check("track.offsets", name, track.shown_too_soon == 0, track.shown_too_soon, 0);
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

/// The colours in the sample entry, and for high range the number of bits.
fn range(report: &mut Verification, name: &str, planned: Range, track: &Measured) {
    let colour = colour(&track.codec);
    let told = colour.map_or(Range::Sdr.cicp(), |(_, transfer, _)| transfer);
    let bits = hevc_bits(&track.codec);
    let wide = colour == Some((9, planned.cicp(), 9)) && bits == Some(10);
    let passed = if planned == Range::Sdr { Range::of_cicp(told) == Some(planned) } else { wide };
    let allowed =
        if planned == Range::Sdr { "a transfer function of standard range" } else { "BT.2020 with 10 bits" };
    report.check(
        "video.range",
        name,
        passed,
        format!("{colour:?}, {bits:?} bits"),
        format!("{}: {allowed}", planned.hls()),
    );
}

fn alignment(video: &[(String, Measured)], report: &mut Verification) {
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

fn target_durations(video: &[(String, Measured)], audio: &[(String, Measured)], report: &mut Verification) {
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

fn key_frame_ranges(root: &Path, name: &str, track: &Measured, report: &mut Verification) -> io::Result<()> {
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
