//! Looks for captions inside the video stream without decoding it.
//!
//! Captions may begin anywhere, so this reads the whole used part of the source. ffmpeg copies the units that can
//! hold captions, which costs as much as reading the file, and this module searches the bytes for captions.

use std::{
    ffi::OsString,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use transcode_config::contract::{Failure, FailureCode};

use crate::{
    examine::probe::VideoStream,
    job::{Context, cannot_write},
    plan::{Plan, seek},
    process::{Invocation, Limits, Tool, input_flags, local},
};

const FILE: &str = "units";
/// Most bytes of such units that are searched. Units with captions alone fill it in two hours at 60 frames a second,
/// and one caption is enough; other units are a dozen bytes a frame.
const MAX_BYTES: u64 = 64 << 20;
/// What ffmpeg may write beyond [`MAX_BYTES`]: a packet.
const SLACK: u64 = 64 << 20;

/// Whether the used part has captions with text. None where the packets cannot be taken apart.
pub(super) async fn look(
    context: &Context<'_>,
    video: &VideoStream,
    plan: &Plan,
    work: &Path,
) -> Result<Option<bool>, Failure> {
    let units = match video.codec.as_str() {
        // Supplemental enhancement information; in HEVC, the message in front of the coded picture.
        "h264" => 6,
        "hevc" => 39,
        // User data.
        "mpeg2video" => 0xb2,
        _ => return Ok(Some(false)),
    };
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args: arguments(video, units, plan, context.job.input),
        input: Some(context.job.input.to_owned()),
        extra_inputs: Vec::new(),
        output_dir: Some(work.to_owned()),
        limits: Limits {
            wall: Duration::from_hours(1),
            stall: Duration::from_mins(5),
            cpu_seconds: 3600,
            memory_bytes: 4 << 30,
            file_bytes: MAX_BYTES + SLACK,
            output_bytes: MAX_BYTES + SLACK,
            stdout_bytes: 16 << 10,
        },
    };
    let whole = match context.tools.run(call, &mut |_| (), context.stop).await {
        Ok(_) => true,
        // Damage. The part before it counts.
        Err(failure) if failure.code == FailureCode::EncodeFailed => false,
        Err(failure) => return Err(failure),
    };
    let found = match std::fs::File::open(work.join(FILE)) {
        Ok(file) => search(file.take(MAX_BYTES)).map_err(|error| cannot_write(FILE, &error))?,
        Err(_) => false,
    };
    Ok((found || whole).then_some(found))
}

fn arguments(video: &VideoStream, units: u32, plan: &Plan, input: &Path) -> Vec<OsString> {
    let words = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
    let mut args = words("-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    args.extend(input_flags().into_iter().map(OsString::from));
    args.extend(seek(plan).into_iter().map(OsString::from));
    args.push("-i".into());
    args.push(local(input));
    args.extend(words(&format!(
        "-map 0:{} -t {:.3} -c copy -bsf:v filter_units=pass_types={units} -fs {MAX_BYTES} -f rawvideo {FILE}",
        video.index,
        plan.lead + plan.seconds,
    )));
    args
}

/// Bytes that are searched at a time.
const PART: u64 = 256 << 10;
/// Longest sequence that is searched for: five bytes, two, and 31 groups of three. Each part begins with this many
/// bytes of the part before.
const LONGEST: usize = 5 + 2 + 31 * 3;

/// Searches a stream of units, with a part of it in memory.
fn search(mut units: impl Read) -> io::Result<bool> {
    let mut bytes = Vec::new();
    loop {
        if units.by_ref().take(PART).read_to_end(&mut bytes)? == 0 {
            return Ok(false);
        }
        if say_something(&bytes) {
            return Ok(true);
        }
        bytes.drain(..bytes.len().saturating_sub(LONGEST));
    }
}

/// Whether `units` hold user data with more than the padding that is sent while nobody speaks.
fn say_something(units: &[u8]) -> bool {
    units.windows(5).enumerate().any(|(at, window)| match window {
        // ATSC A/53 part 4, 6.2.3: whether there are triplets, and how many; a reserved byte; then three bytes each.
        b"GA94\x03" => {
            let rest = units.get(at + 5..).unwrap_or_default();
            let count = rest.first().map_or(0, |flags| if flags & 0x40 == 0 { 0 } else { flags & 0x1f });
            let groups = rest.get(2..).unwrap_or_default().as_chunks::<3>().0;
            groups.iter().take(count.into()).any(|&[kind, first, second]| {
                kind & 4 != 0 && (kind & 2 != 0 || (first | second) & 0x7f != 0)
            })
        }
        // User data of MPEG-2 as cable networks have it (SCTE 20) and DVDs; ffmpeg knows both.
        [1, 0xb2, 0x03, 0x01 | 0x81, _] | [0xb2, b'C', b'C', 0x01, 0xf8] => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_says_nothing_and_each_kind_of_captions_something() {
        let message = |flags: u8, groups: &[[u8; 3]]| {
            let head = &b"\0\0\x01\x06\x04\x0e\xb5\x00\x31GA94\x03"[..];
            [head, &[flags, 0xff], groups.as_flattened(), &[0xff, 0x80]].concat()
        };
        let quiet = message(0x42, &[[0xfc, 0x80, 0x80], [0xfa, 0, 0]]);
        assert!(!say_something(&quiet.repeat(3)));
        for group in [[0xfc, 0x94, 0x20], [0xfd, 0x80, 0x61], [0xff, 0x02, 0x21], [0xfe, 0, 0]] {
            assert!(say_something(&[&quiet[..], &message(0x41, &[group])].concat()), "{group:?}");
            // It is marked as none, or as more than there are.
            assert!(!say_something(&message(0x01, &[group])), "{group:?}");
            assert!(!say_something(&message(0x41, &[[0xf8, 0, 0], group])), "{group:?}");
        }
        assert!(say_something(b"\0\0\x01\xb2\x03\x81\x10\0"));
        assert!(say_something(b"\0\0\x01\xb2CC\x01\xf8\x9e"));
        assert!(!say_something(b"\0\0\x01\xb2DTG1\x41\xf8GA94\x03") && !say_something(b"GA94"));
    }

    #[test]
    fn captions_are_found_wherever_a_part_ends() {
        let part = usize::try_from(PART).unwrap();
        let message =
            [&b"GA94\x03\x5f\xff"[..], [[0xf8, 0, 0]; 30].as_flattened(), &[0xfc, 0x94, 0x20]].concat();
        assert_eq!(message.len(), LONGEST);
        for before in [0, 1, 50, 100, 101, 150].map(|back| 2 * part - back) {
            let units = [vec![0; before], message.clone(), vec![0; 9]].concat();
            assert!(search(&units[..]).unwrap(), "{before}");
            assert!(!search(&units[..before + LONGEST - 3]).unwrap(), "{before}");
        }
    }

    #[test]
    fn what_copies_the_units_is_built_into_the_images_ffmpeg() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/ffmpeg");
        let script = std::fs::read_to_string(script).unwrap();
        let list = |name: &str| -> Vec<String> {
            let (_, rest) = script.split_once(&format!("\n{name}='")).unwrap();
            rest.split_once('\'').unwrap().0.split_whitespace().map(str::to_owned).collect()
        };
        for name in ["filter_units", "h264_metadata", "hevc_metadata", "mpeg2_metadata"] {
            assert!(
                list("bitstream").iter().any(|built| built == name),
                "{name} is missing in scripts/ffmpeg"
            );
        }
        assert!(list("muxers").iter().any(|built| built == "rawvideo"));
        // Those that only rare sources need: nobody would miss them for long.
        for name in ["crop", "idet", "concat", "premultiply", "colorspace"] {
            assert!(list("filters").iter().any(|built| built == name), "{name} is missing in scripts/ffmpeg");
        }
    }
}
