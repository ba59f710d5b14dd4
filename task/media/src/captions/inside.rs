//! Closed captions inside the video stream (ATSC A/53 user data: H.264, HEVC, MPEG-2).
//!
//! Captions belong to decoded frames, in the order in which these are shown. ffmpeg prints them nowhere, and its
//! filter source that would (`movie=…[out+subcc]`) opens files by itself, without the list of formats that a source
//! may have. But its H.264 encoder passes captions on: so the source is decoded once more, into a stream of 32 × 32
//! grey frames, and this module reads the messages (SEI) in that stream.

use std::{ffi::OsString, fs::File, io, path::Path, time::Duration};

use transcode_config::contract::{Failure, FailureCode};

use super::cea608::{Decoder, Field};
use crate::{
    encode::MEMORY,
    examine::probe::VideoStream,
    job::{Context, cannot_write},
    package::{fragment::BoxReader, text::Cue},
    plan::{Plan, seek},
    process::{Invocation, Limits, Tool, input_flags, local, words},
    rational::{float, round_to_u64},
};

/// Name of the encoder's file.
const FILE: &str = "captions.mp4";
/// Bytes of a frame: the smallest frame there is, and captions of at most 31 groups of three bytes.
const FRAME_BYTES: f64 = 512.0;
/// Frames a second, at most.
const FRAMES: f64 = 120.0;
/// Longest time without a frame, beside the time to skip what precedes the first.
const STALL: Duration = Duration::from_mins(3);

/// The texts of each channel that has any. Their clock begins where reading does: `plan.lead` before the result.
pub(super) async fn read(
    context: &Context<'_>,
    video: &VideoStream,
    plan: &Plan,
    work: &Path,
) -> Result<Vec<(&'static str, Vec<Cue>)>, Failure> {
    let end = plan.lead + plan.seconds;
    let bytes = (16 << 20) + round_to_u64(end * FRAMES * FRAME_BYTES);
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args: arguments(video, plan, context.job.input, end),
        input: Some(context.job.input.to_owned()),
        extra_inputs: Vec::new(),
        output_dir: Some(work.to_owned()),
        limits: Limits {
            wall: Duration::from_mins(30) + Duration::from_secs(round_to_u64(end * 10.0)),
            stall: STALL,
            cpu_seconds: 3600 + round_to_u64(end * 40.0),
            memory_bytes: MEMORY,
            file_bytes: bytes,
            output_bytes: bytes,
            stdout_bytes: 16 << 10,
        },
    };
    context.tools.run(call, &mut |_| (), context.stop).await?;
    let file = work.join(FILE);
    let texts = tokio::task::spawn_blocking(move || texts(&file, round_to_u64(end * 1000.0))).await;
    let texts = texts.map_err(|error| {
        Failure::new(FailureCode::Internal, "reading captions failed").with("error", error)
    })?;
    texts.map_err(|error| cannot_write(FILE, &error))
}

fn arguments(video: &VideoStream, plan: &Plan, input: &Path, end: f64) -> Vec<OsString> {
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    args.extend(input_flags().into_iter().map(OsString::from));
    args.extend(words("-noautorotate -reinit_filter:v 0"));
    args.extend(seek(plan).into_iter().map(OsString::from));
    args.push("-i".into());
    args.push(local(input));
    // Not the fast bilinear scaler: it generates code at run time, which the sandbox does not execute.
    // The encoder's file would begin its clock with the first frame. Held at 0, it keeps the times of the others.
    args.extend(words(&format!(
        "-map 0:{} -t {end:.3} -vf setpts=if(eq(N\\,0)\\,0\\,PTS),{}scale=w=32:h=32:flags=neighbor,format=yuv420p \
         -c:v libx264 -preset ultrafast -tune zerolatency -threads 1 -qp 51 -bf 0 -g 250 -a53cc 1 -flags +bitexact \
         -fps_mode passthrough -enc_time_base 1/90000 -video_track_timescale 90000 -map_metadata -1 \
         -map_chapters -1 -fflags +bitexact -f mp4 \
         -movflags +empty_moov+default_base_moof+skip_sidx+skip_trailer+frag_keyframe {FILE}",
        video.index,
        video.color.neutral(),
    )));
    args
}

/// Reads the encoder's file. Times in milliseconds.
fn texts(file: &Path, end: u64) -> io::Result<Vec<(&'static str, Vec<Cue>)>> {
    let mut reader = BoxReader::new(File::open(file)?);
    let mut decoder = Decoder::default();
    let Some(init) = reader.init()? else { return Ok(Vec::new()) };
    while let Some(fragment) = reader.fragment(&init, true)? {
        let (mut time, mut rest) = (fragment.start, fragment.data.as_slice());
        for sample in &fragment.samples {
            let size = usize::try_from(sample.size).unwrap_or(usize::MAX).min(rest.len());
            let (frame, behind) = rest.split_at(size);
            let at = round_to_u64(float(time) * 1000.0 / f64::from(init.timescale));
            for (field, pair) in messages(frame).iter().flat_map(|message| pairs(message)) {
                decoder.pair(field, pair, at.min(end));
            }
            rest = behind;
            time += u64::from(sample.duration);
        }
    }
    Ok(decoder.finish(end))
}

/// The user data of a coded picture whose parts are preceded by their length (ISO/IEC 14496-15): payload type 4 of
/// H.264's supplemental enhancement information (ITU-T H.264, 7.3.2.3 and D.1).
fn messages(mut frame: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = frame.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX).min(rest.len());
        let (unit, behind) = rest.split_at(length);
        frame = behind;
        if unit.first().is_some_and(|head| head & 0x1f == 6) {
            let bytes = without_guards(unit.get(1..).unwrap_or_default());
            let mut rest = bytes.as_slice();
            while let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) {
                let Some((message, behind)) = rest.split_at_checked(size) else { break };
                if kind == 4 {
                    found.push(message.to_owned());
                }
                rest = behind;
            }
        }
    }
    found
}

/// Takes a number: any count of bytes of 255 and a last smaller one, added up.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        sum += usize::from(first);
        if first != 255 {
            return Some(sum);
        }
    }
}

/// The payload without the bytes that keep start codes out of it (ITU-T H.264, 7.4.1.1).
fn without_guards(bytes: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The CEA-608 pairs of a message (ATSC A/53 part 4, 6.2.3): country and provider, `GA94`, type 3, a count, a reserved
/// byte, then three bytes each, of which the first says whether and to which field the others belong.
fn pairs(message: &[u8]) -> Vec<(Field, [u8; 2])> {
    const HEAD: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 3];
    let Some((count, rest)) = message.strip_prefix(&HEAD).and_then(<[u8]>::split_first) else {
        return Vec::new();
    };
    let groups = rest.get(1..).unwrap_or_default().as_chunks::<3>().0.iter().take(usize::from(count & 0x1f));
    let pairs = groups.filter_map(|&[kind, first, second]| match kind & 7 {
        4 => Some((Field::One, [first, second])),
        5 => Some((Field::Two, [first, second])),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_found_behind_other_messages_and_units() {
        let mut message = b"\xb5\x00\x31GA94\x03\x43\xff".to_vec();
        message.extend([0xfc, 0x94, 0x20, 0xfd, 1, 2, 0xf9, 3, 4, 0xff]);
        let mut unit = vec![6, 5, 2, 9, 9, 4, u8::try_from(message.len()).unwrap()];
        unit.extend(&message);
        unit.push(0x80);
        let mut frame = vec![0, 0, 0, 2, 0x65, 1];
        frame.extend(u32::try_from(unit.len()).unwrap().to_be_bytes());
        frame.extend(&unit);
        let found = messages(&frame);
        assert_eq!(found.len(), 1);
        assert_eq!(pairs(&found[0]), [(Field::One, [0x94, 0x20]), (Field::Two, [1, 2])]);
        assert_eq!(without_guards(&[0, 0, 3, 1, 0, 3]), [0, 0, 1, 0, 3]);
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut unit = vec![6, 4];
            unit.extend(&body);
            let mut frame = u32::try_from(unit.len()).unwrap().to_be_bytes().to_vec();
            frame.extend(unit);
            frame.extend(bytes);
            for message in messages(&frame) {
                pairs(&message);
            }
        }
    }
}
