//! Time: when frames are seen and audio is heard, of sources whose clocks, rates and lengths are not as one would like.
//!
//! Each row is a kind that people upload. Asserted are the rate, the length, each change of scene to 0.1 s, the tone in each
//! tenth of a second, and what a person is told.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use transcode_config::{contract::FailureCode, ladder::Profile};

use crate::support::{Row, Run, ffmpeg, ffprobe, judge_each, quick, run};

/// What a viewer gets.
struct Plays {
    /// Frames a second; empty for audio alone.
    rate: &'static str,
    seconds: f64,
    /// From when on which colour is seen, by its first letter.
    scenes: &'static [(f64, char)],
    /// From when on which tone is heard, in Hz; 0 is silence, and [`ANY`] whatever it is.
    tones: &'static [(f64, u32)],
    /// What a person is told; empty for nothing.
    told: &'static str,
}

/// Where nothing is asserted of the audio.
const ANY: u32 = 1;

enum Outcome {
    Plays(Plays),
    Refused(FailureCode, &'static str),
}

const TWO: &[(f64, char)] = &[(0.0, 'r'), (2.0, 'g')];
const TONES: &[(f64, u32)] = &[(0.0, 440), (2.0, 880)];

const fn plays(
    rate: &'static str,
    seconds: f64,
    scenes: &'static [(f64, char)],
    tones: &'static [(f64, u32)],
    told: &'static str,
) -> Outcome {
    Outcome::Plays(Plays { rate, seconds, scenes, tones, told })
}

const X264: &str = "-c:v libx264 -preset ultrafast -crf 10 -g 25";

/// Two seconds of a colour and a tone: red with 440 Hz, or green with 880 Hz.
fn part(folder: &Path, name: &str, first: bool, args: &str) -> PathBuf {
    let (colour, tone) = if first { ("red", 440) } else { ("lime", 880) };
    let path = folder.join(name);
    let (video, audio) = (
        format!("color={colour}:s=160x90:r=25:d=2,noise=alls=20:allf=t"),
        format!("sine={tone}:r=48000:d=2"),
    );
    ffmpeg(&["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio], args, &path);
    path
}

/// Two recordings, the bytes of one behind those of the other.
fn joined(folder: &Path, kind: &str, first: &str, second: &str) -> PathBuf {
    let one = part(folder, &format!("1.{kind}"), true, first);
    let two = part(folder, &format!("2.{kind}"), false, second);
    let both = folder.join(format!("both.{kind}"));
    std::fs::write(&both, [std::fs::read(one).unwrap(), std::fs::read(two).unwrap()].concat()).unwrap();
    both
}

/// Slides of different colours: each with its length in seconds.
fn slides(folder: &Path, audio: &str, slides: &[(&str, &str)]) -> PathBuf {
    let mut list = String::new();
    for (number, (colour, seconds)) in slides.iter().enumerate() {
        let image = folder.join(format!("{number}.png"));
        let source = format!("color={colour}:s=160x90");
        ffmpeg(&["-f", "lavfi", "-i", &source], "-frames:v 1", &image);
        writeln!(list, "file '{number}.png'\nduration {seconds}").unwrap();
    }
    let (text, to) = (folder.join("list.txt"), folder.join("slides.mp4"));
    std::fs::write(&text, list).unwrap();
    let inputs = ["-f", "concat", "-i", text.to_str().unwrap(), "-f", "lavfi", "-i", audio];
    ffmpeg(&inputs, &format!("-vsync vfr -pix_fmt yuv420p {X264} -c:a aac"), &to);
    to
}

/// The video of [`part`] for `seconds`, with noise that needs some bits, and a tone that begins late.
fn late(folder: &Path, name: &str, seconds: u32, args: &str) -> PathBuf {
    let to = folder.join(name);
    let video = format!("color=red:s=160x90:r=25:d={seconds},noise=alls=6:allf=t");
    let late = (seconds - 2).to_string();
    let inputs =
        ["-f", "lavfi", "-i", &video, "-itsoffset", &late, "-f", "lavfi", "-i", "sine=440:r=48000:d=2"];
    ffmpeg(&inputs, &format!("-map 0:v -map 1:a {args}"), &to);
    to
}

/// An AVI whose last 25 of 50 frames have no bytes: a still screen.
fn empty_frames(folder: &Path) -> PathBuf {
    let images = folder.join("%03d.jpg");
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=160x90:r=25:d=1"], "-q:v 3 -f image2", &images);
    let chunk = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [kind, &length, body, if body.len() % 2 == 1 { b"\0" } else { b"" }].concat()
    };
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|one| one.to_le_bytes()).collect::<Vec<_>>();
    let (mut media, mut index) = (b"movi".to_vec(), Vec::new());
    for number in 1..=50 {
        let body = std::fs::read(folder.join(format!("{number:03}.jpg"))).unwrap_or_default();
        let (key, at) = (if body.is_empty() { 0 } else { 16 }, u32::try_from(media.len()).unwrap());
        index.extend([&b"00dc"[..], &numbers(&[key, at, u32::try_from(body.len()).unwrap()])].concat());
        media.extend(chunk(b"00dc", &body));
    }
    let main = numbers(&[40_000, 100_000, 0, 16, 50, 0, 1, 100_000, 160, 90, 0, 0, 0, 0]);
    let stream = [&b"vidsMJPG"[..], &numbers(&[0, 0, 0, 1, 25, 0, 50, 100_000, u32::MAX, 0, 0, 0x5a_00a0])];
    let format = [&numbers(&[40, 160, 90, 0x18_0001])[..], b"MJPG", &numbers(&[43_200, 0, 0, 0, 0])].concat();
    let list = [&b"strl"[..], &chunk(b"strh", &stream.concat()), &chunk(b"strf", &format)].concat();
    let header = [&b"hdrl"[..], &chunk(b"avih", &main), &chunk(b"LIST", &list)].concat();
    let body =
        [&b"AVI "[..], &chunk(b"LIST", &header), &chunk(b"LIST", &media), &chunk(b"idx1", &index)].concat();
    let to = folder.join("x.avi");
    std::fs::write(&to, chunk(b"RIFF", &body)).unwrap();
    to
}

/// A RIFF file whose size field counts its own header in.
fn eight_too_many(path: PathBuf) -> PathBuf {
    let mut bytes = std::fs::read(&path).unwrap();
    let size = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Changes `length` bytes of a file behind the `number`th place that `find` finds.
fn changed(
    path: PathBuf,
    find: impl Fn(&[u8]) -> bool,
    (number, skip): (usize, usize),
    change: impl Fn(&mut [u8]),
) -> PathBuf {
    let mut bytes = std::fs::read(&path).unwrap();
    let at = (0..bytes.len()).filter(|&at| find(&bytes[at..])).nth(number).expect("nothing to change");
    change(&mut bytes[at + skip..]);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An MP4 of 4 s whose edit lists pause for a second after three, and then play the rest if they go on.
fn paused(folder: &Path, goes_on: bool) -> PathBuf {
    let to = folder.join("x.mp4");
    let video = "color=red:s=160x90:r=25:d=2[a];color=lime:s=160x90:r=25:d=2[b];[a][b]concat,format=yuv420p";
    let audio = "sine=440:r=48000:d=2[a];sine=880:r=48000:d=2[b];[a][b]concat=v=0:a=1";
    ffmpeg(&["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio], &format!("{X264} -c:a aac"), &to);
    let mut bytes = std::fs::read(&to).unwrap();
    // The edit list has one entry: duration, time, rate. Boxes around it follow one another: trak, tkhd, edts, elst.
    let lists: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"elst")).collect();
    let movie = bytes.windows(4).position(|name| name == b"moov").unwrap() - 4;
    for (&at, ticks) in lists.iter().zip([12_800, 48_000]).rev() {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let begin = number(at + 16);
        let edits = [(3000, begin), (1000, u32::MAX), (1000, begin + 3 * ticks)];
        let edits = if goes_on { &edits[..] } else { &edits[..2] };
        let many = u32::try_from(edits.len()).unwrap();
        let more = 12 * (many - 1);
        let entries: Vec<_> = edits.iter().flat_map(|edit| [edit.0, edit.1, 0x1_0000]).collect();
        let entries: Vec<u8> = entries.into_iter().flat_map(u32::to_be_bytes).collect();
        bytes[at + 8..at + 12].copy_from_slice(&many.to_be_bytes());
        for size in [at - 4, at - 12, at - 112, movie] {
            let value = u32::from_be_bytes(bytes[size..size + 4].try_into().unwrap());
            bytes[size..size + 4].copy_from_slice(&(value + more).to_be_bytes());
        }
        bytes.splice(at + 12..at + 24, entries);
    }
    std::fs::write(&to, bytes).unwrap();
    to
}

const JUMPED: &str = "the clock of the file jumps";
const UNEVEN: &str = "the format of the audio (stream 1) changes in the middle";
const WHOLE: &str = "is 8 bytes larger than the file";

#[rustfmt::skip]
const ROWS: &[Row<Outcome>] = &[
    ("slides", |folder| slides(folder, "sine=440:r=48000:d=14", &[("red", "2.2"), ("lime", "3.52"), ("blue", "2.4"), ("white", "5.88")]),
        plays("10/1", 14.0, &[(0.0, 'r'), (2.2, 'g'), (5.72, 'b'), (8.12, 'w')], &[(0.0, 440)], "")),
    ("a frame every seven seconds", |folder| slides(folder, "sine=440:r=48000:d=21", &[("red", "7"), ("lime", "7"), ("blue", "7")]),
        plays("5/1", 21.0, &[(0.0, 'r'), (7.0, 'g'), (14.0, 'b')], &[(0.0, 440)], "")),
    ("a pause", |folder| {
        let to = folder.join("x.mp4");
        ffmpeg(&["-f", "lavfi", "-i", "color=red:s=160x90:r=30:d=6"], &format!("-vf select='not(between(t,2,3.5))' -vsync vfr {X264}"), &to);
        to
    }, plays("30/1", 6.0, &[(0.0, 'r')], &[], "")),
    ("a long pause", |folder| {
        let to = folder.join("x.mp4");
        ffmpeg(&["-f", "lavfi", "-i", "color=red:s=160x90:r=30:d=16"], &format!("-vf select='not(between(t,2,14))' -vsync vfr {X264}"), &to);
        to
    }, plays("30/1", 16.0, &[(0.0, 'r')], &[], "the video stands still for 12.1 s")),
    ("a pause that is no whole number of frames", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -output_ts_offset 7.013")),
        plays("25/1", 9.0, &[(0.0, 'r'), (7.02, 'g')], &[(0.0, 440), (2.0, ANY), (2.2, 0), (7.02, 880)], "")),
    ("frames of a Theora that repeat", |folder| {
        let to = folder.join("x.ogv");
        ffmpeg(&["-f", "lavfi", "-i", "color=red:s=160x90:r=25:d=2"], "-c:v libtheora -q:v 8", &to);
        to
    }, plays("25/1", 1.96, &[(0.0, 'r')], &[], "")),
    ("audio 12 s into a TS", |folder| late(folder, "x.ts", 14, &format!("{X264} -c:a aac")),
        plays("25/1", 14.0, &[(0.0, 'r')], &[(0.0, 0), (12.0, 440)], "")),
    ("audio behind five megabytes of a VOB", |folder| late(folder, "x.vob", 12, "-c:v mpeg2video -b:v 6M -minrate 6M -maxrate 6M -bufsize 1835k -c:a mp2"),
        plays("25/1", 12.0, &[(0.0, 'r')], &[(0.0, 0), (10.0, 440)], "")),
    ("two recordings in a TS", |folder| joined(folder, "ts", &format!("{X264} -c:a aac"), &format!("{X264} -c:a aac")),
        plays("25/1", 4.0, TWO, TONES, JUMPED)),
    ("a TS whose clock jumps by an hour", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -output_ts_offset 3600")),
        plays("25/1", 4.0, TWO, TONES, JUMPED)),
    ("a TS whose clock falls back by an hour", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2 -output_ts_offset 3600"), &format!("{X264} -c:a mp2")),
        plays("25/1", 4.0, TWO, TONES, JUMPED)),
    ("two recordings in a VOB", |folder| joined(folder, "vob", "-c:v mpeg2video -q:v 2 -c:a mp2", "-c:v mpeg2video -q:v 2 -c:a mp2"),
        plays("25/1", 4.0, TWO, TONES, JUMPED)),
    ("a chained Ogg", |folder| joined(folder, "ogg", "-vn -c:a libvorbis", "-vn -c:a libvorbis"),
        plays("", 4.0, &[], TONES, JUMPED)),
    ("a chained Ogg of two sample rates", |folder| joined(folder, "ogg", "-vn -c:a libvorbis", "-vn -c:a libvorbis -ar 22050"),
        Outcome::Refused(FailureCode::SourceDiscontinuous, "sample_rate_later")),
    ("a chained Ogg of Opus", |folder| joined(folder, "opus", "-vn -c:a libopus", "-vn -c:a libopus -ac 2"),
        plays("", 4.01, &[], TONES, JUMPED)),
    ("two recordings in a FLAC", |folder| joined(folder, "flac", "-vn", "-vn"), Outcome::Refused(FailureCode::SourceDiscontinuous, "packets_late")),
    ("two recordings in an FLV", |folder| joined(folder, "flv", "-c:v flv1 -q:v 2 -c:a mp3 -ar 44100", "-c:v flv1 -q:v 2 -c:a mp3 -ar 44100"),
        Outcome::Refused(FailureCode::SourceDiscontinuous, "bytes_reached")),
    ("two recordings in an MP4", |folder| joined(folder, "mp4", X264, X264), Outcome::Refused(FailureCode::SourceDiscontinuous, "")),
    ("two recordings in a Matroska", |folder| joined(folder, "mkv", X264, X264), Outcome::Refused(FailureCode::SourceDiscontinuous, "packets_late")),
    ("audio from 5.1 to stereo in a TS", |folder| joined(folder, "ts", &format!("{X264} -c:a ac3 -ac 6"), &format!("{X264} -c:a ac3 -ac 2 -output_ts_offset 2")),
        plays("25/1", 4.0, TWO, TONES, UNEVEN)),
    ("audio from 48 to 44.1 kHz in a Matroska", |folder| {
        let both = joined(folder, "ts", &format!("{X264} -c:a mp2 -ar 48000"), &format!("{X264} -c:a mp2 -ar 44100 -output_ts_offset 2"));
        let to = folder.join("both.mkv");
        ffmpeg(&["-i", both.to_str().unwrap()], "-c copy", &to);
        to
    }, plays("25/1", 4.0, TWO, TONES, UNEVEN)),
    ("audio that goes on under another PID in a TS", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -streamid 1:300 -output_ts_offset 2")),
        plays("25/1", 4.0, TWO, TONES, "joined: the audio of stream 1 goes on as stream 2")),
    ("audio that goes on in another codec", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a aac -ac 1 -streamid 1:300")),
        plays("25/1", 4.0, TWO, TONES, "joined: the audio of stream 1 goes on as stream 2")),
    ("video and audio that go on under other PIDs", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -streamid 0:290 -streamid 1:300 -output_ts_offset 2")),
        plays("25/1", 4.0, TWO, TONES, "joined: the video of stream 0 goes on as stream 2 at 2.0")),
    ("video that goes on under another PID, audio in another codec, on another clock", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a aac -streamid 0:290 -streamid 1:300")),
        plays("25/1", 4.0, TWO, TONES, JUMPED)),
    ("video that goes on under another PID in another size", |folder| joined(folder, "ts", "-c:v mpeg2video -q:v 2 -c:a mp2", "-c:v mpeg2video -q:v 2 -s 320x180 -c:a mp2 -streamid 0:290 -output_ts_offset 2"),
        plays("25/1", 4.0, TWO, TONES, "joined: the video")),
    ("recordings of two channels", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -mpegts_service_id 2 -mpegts_pmt_start_pid 4097 -streamid 0:290 -streamid 1:300")),
        plays("25/1", 4.0, TWO, TONES, "joined: the audio")),
    ("video that goes on in another codec", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), "-c:v mpeg2video -q:v 2 -c:a mp2 -streamid 0:290 -output_ts_offset 2"),
        Outcome::Refused(FailureCode::SourceDiscontinuous, "codec_later")),
    ("a TS that repeats its last seconds", |folder| joined(folder, "ts", &format!("{X264} -c:a mp2"), &format!("{X264} -c:a mp2 -output_ts_offset 1.5")),
        plays("25/1", 4.52, &[(0.0, 'r'), (2.52, 'g')], &[(0.0, 440), (2.0, ANY), (2.62, 880)], JUMPED)),
    ("an edit list that pauses in the middle", |folder| paused(folder, true),
        plays("25/1", 5.0, &[(0.0, 'r'), (2.0, 'g')], &[(0.0, 440), (2.0, 880), (3.0, ANY), (3.15, 0), (4.0, 880)], "")),
    ("an edit list that pauses at the end", |folder| paused(folder, false),
        plays("25/1", 3.0, &[(0.0, 'r'), (2.0, 'g')], &[(0.0, 440), (2.0, 880)], "")),
    ("frames without bytes", empty_frames, plays("25/1", 2.0, &[(0.0, 'r')], &[], "")),
    ("an AVI without its index", |folder| {
        let path = part(folder, "x.avi", true, "-c:v mpeg4 -q:v 2 -bf 0 -c:a mp3");
        let bytes = std::fs::read(&path).unwrap();
        let index = bytes.windows(4).rposition(|name| name == b"idx1").unwrap();
        std::fs::write(&path, &bytes[..index]).unwrap();
        path
    }, plays("25/1", 2.04, &[(0.0, 'r')], &[(0.0, 440)], "bytes larger than the file")),
    ("a WMV whose audio ends early", |folder| part(folder, "x.wmv", true, "-c:v wmv2 -q:v 2 -c:a wmav2 -af atrim=end=1"),
        plays("25/1", 2.0, &[(0.0, 'r')], &[(0.0, 440), (1.0, ANY), (1.4, 0)], "")),
    ("a longer track that is left out", |folder| {
        let to = folder.join("x.mkv");
        let inputs = ["-f", "lavfi", "-i", "color=red:s=160x90:r=25:d=2", "-f", "lavfi", "-i", "color=blue:s=80x44:r=25:d=4"];
        ffmpeg(&inputs, &format!("-map 0 -map 1 {X264}"), &to);
        to
    }, plays("25/1", 2.0, &[(0.0, 'r')], &[], "another video stream is used")),
    ("an AVI with a size off by eight", |folder| eight_too_many(part(folder, "x.avi", true, "-c:v mpeg4 -q:v 2 -bf 0 -c:a mp3")),
        plays("25/1", 2.04, &[(0.0, 'r')], &[(0.0, 440)], WHOLE)),
    ("an ASF with a size off by a thousand", |folder| {
        let properties = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65";
        let path = part(folder, "x.wmv", true, "-c:v wmv2 -q:v 2 -c:a wmav2");
        let size = std::fs::metadata(&path).unwrap().len() + 1000;
        changed(path, |bytes| bytes.starts_with(properties), (0, 40), |bytes| bytes[..8].copy_from_slice(&size.to_le_bytes()))
    }, plays("25/1", 2.0, &[(0.0, 'r')], &[(0.0, 440)], "is 1000 bytes larger than the file")),
    // 2^19 ticks, 5.8 s, too many.
    ("one broken time stamp in the audio of a TS", |folder| {
        let path = part(folder, "x.ts", true, &format!("{X264} -c:a mp2"));
        changed(path, |bytes| bytes.starts_with(&[0, 0, 1, 0xc0]), (4, 11), |bytes| bytes[0] ^= 32)
    }, plays("25/1", 2.0, &[(0.0, 'r')], &[(0.0, 440)], "1 time stamps are broken, the first by 5.8")),
    ("one broken time stamp in the video of a TS", |folder| {
        let path = part(folder, "x.ts", true, &format!("{X264} -c:a mp2"));
        changed(path, |bytes| bytes.starts_with(&[0, 0, 1, 0xe0]), (20, 11), |bytes| bytes[0] ^= 32)
    }, plays("25/1", 2.0, &[(0.0, 'r')], &[(0.0, 440)], "1 time stamps are broken, the first by 5.8")),
    // 4,096 ms too many.
    ("one broken time stamp in the video of an FLV", |folder| {
        let path = part(folder, "x.flv", true, "-c:v flv1 -q:v 2 -c:a mp3 -ar 44100");
        changed(path, |bytes| bytes.starts_with(&[9, 0]) && bytes[7..].starts_with(&[0, 0, 0, 0]) && bytes[11] & 15 == 2, (20, 5), |bytes| bytes[0] ^= 16)
    }, plays("25/1", 2.0, &[(0.0, 'r')], &[(0.0, 440)], "1 time stamps are broken, the first by 4.10")),
    ("a WAV with a size off by eight", |folder| eight_too_many(part(folder, "x.wav", true, "-vn")),
        plays("", 2.0, &[], &[(0.0, 440)], WHOLE)),
];

fn top() -> Profile {
    let mut profile = quick();
    profile.rungs.remove(0);
    profile.crf = 15;
    profile
}

/// The colour of each frame, by its first letter.
fn colours(run: &Run, track: &Path) -> Vec<char> {
    let raw = run.folder.path().join("colours.rgb");
    ffmpeg(&["-i", track.to_str().unwrap()], "-vf scale=1:1:flags=area,format=rgb24 -f rawvideo", &raw);
    let name = |pixel: &[u8]| match pixel.iter().map(|&part| part > 128).collect::<Vec<_>>()[..] {
        [true, false, false] => 'r',
        [false, true, false] => 'g',
        [false, false, true] => 'b',
        [true, true, true] => 'w',
        _ => '?',
    };
    std::fs::read(raw).unwrap().chunks_exact(3).map(name).collect()
}

/// The tone in each tenth of a second, by how often the wave rises through zero; 0 for silence.
fn tones(run: &Run) -> Vec<u32> {
    let raw = run.folder.path().join("tone.f32");
    ffmpeg(&["-i", run.joined("audio/main").to_str().unwrap()], "-ac 1 -ar 48000 -f f32le", &raw);
    let bytes = std::fs::read(raw).unwrap();
    let samples: Vec<_> =
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let tone = |tenth: &[f32]| {
        let rises = tenth.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let loud = tenth.iter().any(|sample| sample.abs() > 0.01);
        if loud { u32::try_from(rises * 10).unwrap() } else { 0 }
    };
    samples.chunks_exact(4800).map(tone).collect()
}

/// What is due at `at`; none within `slack` of a change.
fn due<T: Copy + PartialEq>(rows: &[(f64, T)], at: f64, slack: f64) -> Option<T> {
    let value = |at: f64| rows.iter().rfind(|row| row.0 <= at).map(|row| row.1);
    (value(at - slack) == value(at + slack) || at < slack).then(|| value(at + slack))?
}

fn judge(what: &str, run: &Run, wanted: &Plays) {
    let package = run.package();
    let summary = &package.summary;
    let close = if wanted.rate.is_empty() { 0.02 } else { 0.041 };
    assert!((summary.seconds - wanted.seconds).abs() < close, "{what}: {} s", summary.seconds);
    let told = summary.warnings.iter().any(|warning| warning.contains(wanted.told));
    assert!(told || wanted.told.is_empty() && summary.warnings.is_empty(), "{what}: {:?}", summary.warnings);
    if let Some(rung) = summary.video.last() {
        let track = run.joined(&format!("video/{}", rung.name));
        let rate = ffprobe(&track, "-select_streams v", "stream=r_frame_rate");
        assert_eq!(rate, wanted.rate, "{what}");
        let colours = colours(run, &track);
        let frames = u32::try_from(colours.len()).unwrap();
        let every = summary.seconds / f64::from(frames);
        assert!((f64::from(frames) * every - summary.seconds).abs() < every, "{what}: {frames} frames");
        for (number, seen) in (0_u32..).zip(&colours) {
            let at = (f64::from(number) + 0.5) * every;
            let wrong = due(wanted.scenes, at, 0.1).is_some_and(|due| due != *seen);
            assert!(!wrong, "{what}: {seen} is seen at {at:.2}");
        }
    }
    assert_eq!(summary.audio.len(), usize::from(!wanted.tones.is_empty()), "{what}");
    if wanted.tones.is_empty() {
        return;
    }
    let tones = tones(run);
    for (number, heard) in (0_u32..).zip(&tones) {
        let at = (f64::from(number) + 0.5) / 10.0;
        // The ends are the encoders'.
        let due =
            due(wanted.tones, at, 0.15).filter(|&due| due != ANY && at < wanted.seconds - 0.2 && at > 0.1);
        let wrong = due.is_some_and(|due| heard.abs_diff(due) > 10);
        assert!(!wrong, "{what}: {heard} Hz are heard at {at:.2}: {tones:?}");
    }
}

#[test]
fn each_kind_is_seen_and_heard_in_time_to_its_end() {
    judge_each(ROWS, top, judge_row);
}

fn judge_row(what: &str, run: &Run, outcome: &Outcome) {
    match outcome {
        Outcome::Plays(wanted) => judge(what, run, wanted),
        Outcome::Refused(code, evidence) => {
            let failure = run.result.as_ref().err().unwrap_or_else(|| panic!("{what} was accepted"));
            assert_eq!(failure.code, *code, "{what}: {failure:?}");
            assert!(evidence.is_empty() || failure.evidence.contains_key(*evidence), "{what}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn audio_that_begins_after_hours_is_refused_before_anything_is_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    let (video, audio) = ("color=red:s=160x90:r=25:d=1", "sine=440:r=48000:d=1");
    let inputs = ["-f", "lavfi", "-i", video, "-itsoffset", "6000", "-f", "lavfi", "-i", audio];
    ffmpeg(&inputs, &format!("-map 0 -map 1 {X264} -c:a aac"), &source);
    let profile = Profile { max_duration_seconds: 36_000, ..top() };
    let failure = run(&source, &profile).await.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceDiscontinuous, "{failure:?}");
    assert_eq!(failure.evidence["allowed_seconds"], "5000", "{failure:?}");
}
