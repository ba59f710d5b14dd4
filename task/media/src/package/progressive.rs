//! One ordinary MP4 beside the streams: the samples of one rung and of the default audio rendition, index first.
//!
//! ffmpeg joins the encoded tracks without encoding them again, so the file costs a copy and equals the streams.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use transcode_config::{contract::Failure, ladder::VideoCodec};

use super::{folder::Folder, fragment::invalid, header};
use crate::{
    job::{Context, cannot_write},
    plan::{self, Plan, Together},
    process::{Invocation, Limits, Tool, local},
};

/// Its path in the package if it has video.
pub const VIDEO: &str = "entry/video.mp4";
/// Its path if it has only audio.
pub const AUDIO: &str = "entry/audio.m4a";
/// Largest file that gets a stable name: S3 copies no more in one call.
pub const LARGEST_ENTRY: u64 = 5_000_000_000;
/// Largest index that is read; twelve hours at 60 frames a second take about 60 MB.
const MAX_INDEX: u64 = 256 << 20;

/// The file that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progressive {
    /// Its path in the package.
    pub path: &'static str,
    /// Name of its rung.
    pub rung: Option<String>,
    /// Name of its audio rendition.
    #[serde(rename = "sound")]
    pub audio: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
}

/// Makes the file, if the plan has one, from the encoder's files.
pub(crate) async fn make(
    context: &Context<'_>,
    plan: &Plan,
    package: &mut Folder,
) -> Result<Option<Progressive>, Failure> {
    let Some(Together { video, audio }) = plan.progressive else { return Ok(None) };
    let work = context.job.work.join("progressive");
    std::fs::create_dir_all(&work).map_err(|error| cannot_write("progressive", &error))?;
    let encoded = context.encoder_folder();
    let tracks = video.map(plan::video_file).into_iter().chain(audio.map(plan::audio_file));
    let tracks: Vec<PathBuf> = tracks.map(|name| encoded.join(name)).collect();
    let held: u64 = tracks.iter().filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum();
    let codec = plan.video.as_ref().map(|video| video.codec);
    join(context, &tracks, codec, &work, held).await?;
    let made = work.join(FILE);
    let path = if video.is_some() { VIDEO } else { AUDIO };
    let bytes = upright(&made).map_err(|error| cannot_write(path, &error))?;
    package.take(path, &made)?;
    std::fs::remove_dir_all(&work).ok();
    let rung = video.and_then(|number| plan.video.as_ref()?.renditions.get(number));
    let audio = audio.and_then(|number| plan.audio.get(number));
    Ok(Some(Progressive {
        path,
        rung: rung.map(|rung| rung.name.clone()),
        audio: audio.map(|audio| audio.name.clone()),
        bytes,
    }))
}

const FILE: &str = "progressive.mp4";

async fn join(
    context: &Context<'_>,
    tracks: &[PathBuf],
    codec: Option<VideoCodec>,
    work: &Path,
    held: u64,
) -> Result<(), Failure> {
    let words = |args: &mut Vec<OsString>, text: &str| args.extend(text.split(' ').map(OsString::from));
    let mut args = Vec::new();
    words(&mut args, "-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1");
    for track in tracks {
        words(&mut args, "-protocol_whitelist file -format_whitelist mov -i");
        args.push(local(track));
    }
    for number in 0..tracks.len() {
        words(&mut args, &format!("-map {number}:0"));
    }
    words(&mut args, "-c copy");
    if codec == Some(VideoCodec::Hevc) {
        words(&mut args, "-tag:v hvc1");
    }
    words(&mut args, "-map_metadata -1 -map_chapters -1 -fflags +bitexact -movflags +faststart -f mp4");
    args.push(FILE.into());
    // The samples, and an index of at most 40 bytes for each.
    let allowed = held * 2 + (64 << 20);
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args,
        input: tracks.first().cloned(),
        extra_inputs: tracks.iter().skip(1).cloned().collect(),
        output_dir: Some(work.to_owned()),
        limits: Limits {
            wall: Duration::from_hours(1),
            // Moving the index to the front of a large file is silent.
            stall: Duration::from_mins(15),
            cpu_seconds: 3600,
            memory_bytes: 4 << 30,
            file_bytes: allowed,
            output_bytes: allowed,
            stdout_bytes: 16 << 10,
        },
    };
    context.tools.run(call, &mut |_| (), context.stop).await.map(|_| ())
}

/// Corrects the display matrices in place. Returns the size of the file.
fn upright(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let size = file.metadata()?.len();
    let (at, mut movie) = index(&mut file, size)?;
    header::clear_rotation(&mut movie);
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&movie)?;
    Ok(size)
}

/// The `moov` of a file, whole, and where it begins. It must come before the media.
pub fn index<R: Read + Seek>(file: &mut R, size: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut at = 0;
    while size.saturating_sub(at) >= 8 {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if length < 8 || length > size - at || &kind == b"mdat" {
            break;
        }
        if &kind == b"moov" {
            if length > MAX_INDEX {
                return Err(invalid("an index of that size"));
            }
            let mut movie = head.to_vec();
            file.take(length - 8).read_to_end(&mut movie)?;
            return Ok((at, movie));
        }
        at += length;
    }
    Err(invalid("the index does not come first"))
}
