//! Whether the source is complete. Pure.
//!
//! The task blames the uploader only on evidence: the container's own bytes, or the duration of a single stream that
//! its packets do not reach. In doubt it makes the result, and a warning says what is missing.

use transcode_config::contract::{Failure, FailureCode, Warning};

use crate::{
    examine::{
        ending::Ending,
        probe::{NO_AUDIO, NO_SIZE, SourceInfo},
        scan::{Scan, Timing},
    },
    process::{PROBE_BYTES, PROBE_SECONDS},
    rational::float,
};

/// How much of a declared duration may be missing besides two frames, in seconds. Muxers round, and the last packet's
/// duration is often unknown; a cut upload misses more.
const MISSING: f64 = 0.5;
/// Largest part of the packets that may be damaged or late in a usable result.
const DAMAGED: f64 = 0.5;
const LATE: f64 = 0.01;
/// Part of the file that may follow the last packet in containers that end with their media.
const BEHIND: f64 = 0.1;
/// Bytes that may follow it in any case: indexes of short files are large.
const BEHIND_BYTES: u64 = 64 << 10;
/// Longest silence within a track, in seconds: ffmpeg fills a pause with one block of samples, and a block has a limit.
const SILENCE: f64 = 5000.0;
/// A video that stands still for longer than this is worth a warning, in seconds.
const STILL: f64 = 10.0;

/// Containers that end with their last packet, or with an index that is small beside it.
const PACKETS_TO_THE_END: [&str; 6] = ["flv", "avi", "wav", "ogg", "mpeg", "asf"];

/// The evidence for and against a complete source.
pub(super) struct Evidence<'a> {
    pub(super) scan: &'a Scan,
    pub(super) ending: Ending,
}

impl Evidence<'_> {
    fn file_is_whole(&self) -> bool {
        !matches!(self.ending, Ending::Unknown)
    }

    /// Compares the video, whose packets end at `end`, with the duration in its header, and returns where it ends.
    /// `frame` is the length of a frame.
    pub(super) fn video(
        &self,
        source: &mut SourceInfo,
        timing: &Timing,
        end: f64,
        (declared, frame): (Option<f64>, f64),
    ) -> Result<f64, Failure> {
        let tick = source.video.as_ref().map_or(0.0, |video| video.time_base.value());
        let longest =
            timing.deltas.last_key_value().map_or(0.0, |(&delta, _)| float(delta.unsigned_abs()) * tick);
        if longest > STILL.max(2.0 * frame) {
            source.warn(
                Warning::StandsStill,
                format!("the video stands still for {longest:.1} s: there are no frames in the source"),
            );
        }
        let found = end - timing.start;
        let Some(declared) = declared.filter(|_| source.declares_streams()) else { return Ok(end) };
        if found + MISSING + 2.0 * frame >= declared {
            return Ok(end);
        }
        if let Ending::Whole { listed_frames: Some(listed) } = self.ending
            && float(listed) * frame + MISSING + 2.0 * frame >= declared
        {
            // Frames without bytes repeat the frame before; the demuxer leaves them out.
            return Ok(timing.start + declared);
        }
        self.short(source, "video", found, declared)?;
        Ok(end)
    }

    /// Compares an audio track, by its index and its declared duration.
    pub(super) fn audio(
        &self,
        source: &mut SourceInfo,
        timing: &Timing,
        (index, declared): (u32, Option<f64>),
    ) -> Result<(), Failure> {
        let found = timing.end - timing.start;
        match declared {
            Some(declared) if source.declares_streams() && found + MISSING + 0.1 < declared => {
                self.short(source, &format!("audio (stream {index})"), found, declared)
            }
            _ => Ok(()),
        }
    }

    /// Compares the longest of all streams, used or not, with the duration in the file's header. The video lasts
    /// until `end`.
    pub(super) fn whole(&self, source: &mut SourceInfo, end: f64) -> Result<(), Failure> {
        if let Ending::Short { bytes } = self.ending {
            source.warn(
                Warning::SizeOff,
                format!("a length in the file is {bytes} bytes larger than the file: a writer's mistake"),
            );
        }
        let Some(declared) = source.duration.filter(|_| source.declares_file()) else { return Ok(()) };
        let ends = source.clocks.iter().filter_map(|clock| self.scan.timing(clock.index, clock.time_base));
        let end = ends.map(|timing| timing.end).fold(end, f64::max);
        // Some containers count from 0 and not from the first frame.
        if end.max(end - source.start) + MISSING + 0.1 >= declared {
            return Ok(());
        }
        self.short(source, "file", end - source.start, declared)
    }

    fn short(&self, source: &mut SourceInfo, what: &str, found: f64, declared: f64) -> Result<(), Failure> {
        // An MP4 has a table of its samples, and ffmpeg reads all that the file has.
        if !self.file_is_whole() || source.container.starts_with("mov") {
            return Err(missing(what, found, declared));
        }
        source.warn(Warning::ShorterThanDeclared, format!(
            "the {what} lasts {found:.2} s where its header says {declared:.2} s, though the file is whole"
        ));
        Ok(())
    }
}

/// Removes streams without packets.
pub(super) fn drop_empty(source: &mut SourceInfo, scan: &Scan) -> Result<(), Failure> {
    let empty = |index, time_base| scan.timing(index, time_base).is_none();
    if let Some(video) = source.video.take_if(|video| empty(video.index, video.time_base)) {
        if video.duration.is_some_and(|declared| declared > MISSING) {
            Evidence { scan, ending: source.ending }.short(
                source,
                "video",
                0.0,
                video.duration.unwrap_or_default(),
            )?;
        }
        source.skip(video.index, format!("video ({})", video.codec), EMPTY);
    }
    let (kept, dropped): (Vec<_>, Vec<_>) =
        source.audio.drain(..).partition(|audio| !empty(audio.index, audio.time_base));
    source.audio = kept;
    for audio in dropped {
        source.skip(audio.index, format!("audio ({})", audio.codec), EMPTY);
    }
    if source.video.is_none() && source.audio.is_empty() {
        return Err(Failure::new(FailureCode::NothingToPlay, "the streams of the file are empty"));
    }
    Ok(())
}

const EMPTY: &str = "it has no packets";

/// Corrects the reason why a stream is left out that had not begun where ffprobe stopped looking.
pub(super) fn name_late_streams(source: &mut SourceInfo, scan: &Scan) {
    let clock = |index| source.clocks.iter().find(|clock| clock.index == index);
    let mut notes = Vec::new();
    let window = format!("the first {} MB and {PROBE_SECONDS} s", PROBE_BYTES / 1_000_000);
    for skipped in source.skipped.iter_mut().filter(|skipped| [NO_AUDIO, NO_SIZE].contains(&skipped.why)) {
        match clock(skipped.index).and_then(|clock| scan.timing(skipped.index, clock.time_base)) {
            None => skipped.why = EMPTY,
            Some(timing) => notes.push(format!(
                "stream {} begins {:.1} s after the file does; only {window} are looked through",
                skipped.index,
                timing.start - source.start
            )),
        }
    }
    for index in scan.streams().filter(|&index| clock(index).is_none()) {
        notes.push(format!("stream {index} appears only behind {window}, and was left out"));
    }
    for note in notes {
        source.warn(Warning::BeginsLate, note);
    }
}

/// Refuses a source that cannot be played to its end in order, and records damage.
pub(super) fn playable(source: &mut SourceInfo, scan: &Scan) -> Result<(), Failure> {
    let (jumps, count) = scan.jumps();
    if let Some(first) = jumps.first() {
        source.warn(Warning::ClockJumps, format!(
            "the clock of the file jumps {count} times, first by {:.1} s at {:.1} s; the parts are played one behind the other",
            first.by,
            first.at - source.start,
        ));
    }
    let used = source.video.iter().map(|video| ("video", video.index, video.time_base));
    let used = used.chain(source.audio.iter().map(|audio| ("audio", audio.index, audio.time_base)));
    let mut notes = Vec::new();
    for (what, index, time_base) in used {
        let Some(timing) = scan.timing(index, time_base) else { continue };
        let share = |packets: u64| float(packets) / float(timing.packets.max(1));
        let figures =
            |packets| format!("{packets} of {} packets of the {what} (stream {index})", timing.packets);
        if share(timing.late) > LATE {
            let message = format!("{} lie before what comes in front of them", figures(timing.late));
            return Err(Failure::new(FailureCode::SourceDiscontinuous, message)
                .with("packets", timing.packets)
                .with("packets_late", timing.late));
        }
        let pause = timing
            .deltas
            .last_key_value()
            .map_or(0.0, |(&ticks, _)| float(ticks.unsigned_abs()) * time_base.value());
        let pause = pause.max(timing.start - source.start);
        if what == "audio" && pause > SILENCE {
            let message = format!("the audio (stream {index}) pauses for {pause:.0} s: too long for silence");
            return Err(Failure::new(FailureCode::SourceDiscontinuous, message)
                .with("seconds", format!("{pause:.3}"))
                .with("allowed_seconds", SILENCE));
        }
        if share(timing.corrupt) > DAMAGED {
            return Err(Failure::new(
                FailureCode::DecodeFailed,
                format!("{} are damaged", figures(timing.corrupt)),
            )
            .with("packets", timing.packets)
            .with("packets_damaged", timing.corrupt));
        }
        if timing.corrupt > 0 {
            notes.push(format!("{} are damaged", figures(timing.corrupt)));
        }
    }
    for note in notes {
        source.warn(Warning::Damaged, note);
    }
    behind(source, scan)
}

/// Refuses a file with much data after its last packet: another recording that ffmpeg does not read.
fn behind(source: &SourceInfo, scan: &Scan) -> Result<(), Failure> {
    let bytes = source.size.saturating_sub(scan.reached());
    let much = float(bytes) > float(source.size) * BEHIND && bytes > BEHIND_BYTES;
    if scan.reached() == 0 || !much || !source.is_one_of(&PACKETS_TO_THE_END) {
        return Ok(());
    }
    let message = format!("{bytes} bytes of the file lie behind the last packet that can be read");
    Err(Failure::new(FailureCode::SourceDiscontinuous, message)
        .with("bytes", source.size)
        .with("bytes_reached", scan.reached()))
}

fn missing(what: &str, found: f64, declared: f64) -> Failure {
    Failure::new(
        FailureCode::SourceTruncated,
        format!("the {what} says that it lasts {declared:.2} s, but only {found:.2} s are there"),
    )
    .with("seconds_present", format!("{found:.3}"))
    .with("seconds_declared", format!("{declared:.3}"))
}
