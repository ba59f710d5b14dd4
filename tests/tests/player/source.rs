//! Sources in which every frame carries its number and the audio beeps once a second.

use std::{fmt::Write, fs, path::Path, process::Command};

use transcode_tests::paths;

use super::SECONDS;

pub(crate) fn run(program: &Path, args: &[&str], folder: &Path) {
    let out = Command::new(program).args(args).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{} {args:?}: {said}", program.display());
}

/// Squares along the upper edge: the frame's number, lowest digit on the left.
pub(crate) fn numbered(size: &str) -> String {
    let mut filter = format!("[0:v]scale={size}");
    for digit in 0..8 {
        let place = format!("drawbox=x=iw*{digit}/8:y=0:w=iw/8:h=iw/8:t=fill");
        let _ = write!(filter, ",{place}:color=black");
        let _ = write!(filter, ",{place}:color=white:enable='mod(floor(n/{}),2)'", 1 << digit);
    }
    filter
}

/// A beep of 0.1 s at each whole second but 0; pieces of a millisecond, so that it begins on time.
pub(crate) fn beeps(input: u8, name: &str) -> String {
    let gate = "volume='gte(t,0.9)*lt(mod(t,1),0.1)':eval=frame";
    format!("[{input}:a]asetnsamples=n=48:p=0,{gate},asetnsamples=n=1024:p=0[{name}]")
}

/// `source.mov` from the real clip, in `folder`: 384x216, or portrait by a rotation in its header.
pub(crate) fn source(folder: &Path, portrait: bool, hertz: &[u32]) {
    source_of(SECONDS, folder, portrait, hertz);
}

/// The same with another length: the clip is repeated. Frames are counted up to 255.
pub(crate) fn source_of(seconds: f64, folder: &Path, portrait: bool, hertz: &[u32]) {
    let clip = paths::clip().unwrap();
    let size = if portrait { "216:384,setsar=1" } else { "384:216" };
    let lie_down = if portrait { ",transpose=cclock" } else { "" };
    let mut graph = format!("{}{lie_down}[v]", numbered(size));
    let mut args =
        vec!["-v".to_owned(), "error".into(), "-y".into(), "-stream_loop".into(), "1".into(), "-i".into()];
    args.push(clip.display().to_string());
    let mut maps = vec!["-map".to_owned(), "[v]".into()];
    for (number, hertz) in (1..).zip(hertz) {
        args.extend(["-f", "lavfi", "-i"].map(String::from));
        args.push(format!("sine=f={hertz}:r=48000"));
        let _ = write!(graph, ";{}", beeps(number, &format!("a{number}")));
        maps.extend(["-map".to_owned(), format!("[a{number}]")]);
    }
    args.extend(["-filter_complex".to_owned(), graph]);
    args.extend(maps);
    args.extend(["-t".to_owned(), seconds.to_string()]);
    args.extend("-c:v libx264 -preset ultrafast -c:a pcm_s16le source.mov".split(' ').map(String::from));
    run(Path::new("ffmpeg"), &args.iter().map(String::as_str).collect::<Vec<_>>(), folder);
    if portrait {
        turn_clockwise(&folder.join("source.mov"));
    }
}

/// Sets the display matrix of the video's header as a telephone in portrait position does. By hand: ffmpeg's option for
/// it differs between its versions.
pub(crate) fn turn_clockwise(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let header = bytes.windows(4).position(|kind| kind == b"tkhd").unwrap();
    // Version and flags, times, track and duration, then 16 bytes up to the matrix.
    let matrix = header + 4 + 24 + 16;
    let one = 1 << 16;
    let turned = [0, one, 0, -one, 0, 0, 216 * one, 0, 1 << 30].map(i32::to_be_bytes);
    bytes[matrix..matrix + 36].copy_from_slice(turned.as_flattened());
    fs::write(file, bytes).unwrap();
}

/// Two languages, and a text in each.
pub(crate) fn with_texts(folder: &Path) {
    let mut args: Vec<String> = "-v error -y -i source.mov".split(' ').map(String::from).collect();
    for (name, line) in [("en", "Good morning"), ("de", "Guten Morgen")] {
        let text = format!("1\n00:00:01,000 --> 00:00:02,000\n{line}\n");
        fs::write(folder.join(format!("{name}.srt")), text).unwrap();
        args.extend(["-i".to_owned(), format!("{name}.srt")]);
    }
    let rest = "-map 0 -map 1 -map 2 -c:v copy -c:a copy -c:s mov_text -metadata:s:a:0 language=eng \
                -metadata:s:a:1 language=ger -metadata:s:s:0 language=eng -metadata:s:s:1 language=ger spoken.mov";
    args.extend(rest.split_whitespace().map(String::from));
    run(Path::new("ffmpeg"), &args.iter().map(String::as_str).collect::<Vec<_>>(), folder);
    fs::rename(folder.join("spoken.mov"), folder.join("source.mov")).unwrap();
}

/// The audio of `source.mov` on all six channels.
pub(crate) fn in_surround(folder: &Path) {
    let args = "-v error -y -i source.mov -map 0 -c:v copy -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 \
                -c:a pcm_s16le six.mov";
    run(Path::new("ffmpeg"), &args.split_whitespace().collect::<Vec<_>>(), folder);
    fs::rename(folder.join("six.mov"), folder.join("source.mov")).unwrap();
}

/// `source.mov` marked as high dynamic range: black and white stay the same.
pub(crate) fn in_high_range(folder: &Path) {
    let args = "-v error -y -i source.mov -map 0 -c:v libx264 -preset ultrafast -crf 10 -pix_fmt yuv420p10le \
                -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv -c:a copy high.mov";
    run(Path::new("ffmpeg"), &args.split_whitespace().collect::<Vec<_>>(), folder);
    fs::rename(folder.join("high.mov"), folder.join("source.mov")).unwrap();
}
