//! Reads the progressive MP4 again and compares it with the plan.

use std::{fs::File, io, path::Path};

use mp4_atom::{Atom, Matrix, Moov, Trak};

use super::{report::Verification, track::bad};
use crate::{
    package::{
        fragment::groups_are_few,
        progressive::{self, AUDIO, VIDEO},
    },
    plan::{AAC_FRAME, Plan, SAMPLE_RATE, Together},
    rational::float,
};

pub(super) fn check(root: &Path, plan: &Plan, report: &mut Verification) -> io::Result<()> {
    let Some(Together { video, audio }) = plan.progressive else { return Ok(()) };
    let path = if video.is_some() { VIDEO } else { AUDIO };
    let mut file = File::open(root.join(path))?;
    let size = file.metadata()?.len();
    // An error here is a broken rule, too: the index must lie in front.
    let found = progressive::index(&mut file, size);
    report.check("progressive.index-first", path, found.is_ok(), found.is_ok(), true);
    let Ok((_, movie)) = found else { return Ok(()) };
    if !groups_are_few(&movie) {
        return Err(bad("more sample groups than an encoder writes"));
    }
    let movie = Moov::decode_body(&mut movie.get(8..).unwrap_or_default()).map_err(io::Error::other)?;
    let wanted = usize::from(video.is_some()) + usize::from(audio.is_some());
    report.same("progressive.tracks", path, &movie.trak.len(), &wanted);
    let mut tracks = movie.trak.iter();
    if let (Some(plan_video), Some(number)) = (&plan.video, video) {
        let track = tracks.next().ok_or_else(|| bad("the file has no video"))?;
        let rung = plan_video.renditions.get(number).ok_or_else(|| bad("no such rung"))?;
        let frame = 1.0 / rung.rate.value();
        report.same("progressive.frames", path, &samples(track).0, &plan_video.frames_of(rung));
        let tolerance = frame * f64::from(rung.frame_step.max(1));
        each_track(report, &format!("{path} video"), track, plan.seconds, tolerance);
    }
    if audio.is_some() {
        let track = tracks.next().ok_or_else(|| bad("the file has no audio"))?;
        let tolerance = 2.0 * f64::from(AAC_FRAME) / f64::from(SAMPLE_RATE);
        each_track(report, &format!("{path} audio"), track, plan.seconds, tolerance);
    }
    Ok(())
}

fn each_track(report: &mut Verification, name: &str, track: &Trak, wanted: f64, tolerance: f64) {
    let rotated = track.tkhd.matrix != Matrix::default();
    report.check("progressive.upright", name, !rotated, rotated, false);
    let scale = f64::from(track.mdia.mdhd.timescale.max(1));
    report.near("progressive.duration", name, float(samples(track).1) / scale, wanted, tolerance);
    let offsets = track.mdia.minf.stbl.ctts.as_ref().and_then(|table| table.entries.first());
    let first = offsets.map_or(0, |entry| entry.sample_offset);
    let edits = track.edts.as_ref().and_then(|edits| edits.elst.as_ref());
    let begin = match edits.map(|list| list.entries.as_slice()) {
        None => Some(0),
        Some([only]) => only.media_time.and_then(|time| i64::try_from(time).ok()),
        Some(_) => None,
    };
    let passed = begin == Some(first);
    report.check("progressive.start", name, passed, format!("{begin:?} of {first} ticks"), "0 s");
}

/// Number of samples, and their total duration in ticks.
fn samples(track: &Trak) -> (u64, u64) {
    let entries = track.mdia.minf.stbl.stts.entries.iter();
    entries.fold((0, 0), |(count, ticks), entry| {
        let (more, each) = (u64::from(entry.sample_count), u64::from(entry.sample_delta));
        (count + more, ticks + more * each)
    })
}
