//! The program as it ships on hostile files: each ends with its own code, touches nothing, and the next file works.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::{
    corpus::{Bait, clip, compressed_index, external_references, ffmpeg, texts},
    support::{Kernel, PROGRAM, age, old_kernel},
};

/// One small rung, encoded as fast as can be.
pub(crate) const PROFILE: &str = r#"
name = "small"
codec = "h264"
crf = 30
preset = "ultrafast"
gop_seconds = 1
segment_gops = 2
max_duration_seconds = 60
[audio]
bps = 64_000
[[rung]]
short_side = 64
average_bps = 100_000
max_bps = 200_000
buffer_bits = 400_000
codec_profile = "main"
"#;

/// Runs the program on a file, with its output beside it.
fn program(kernel: Kernel, input: &Path, output: &Path) -> Output {
    program_with(kernel, input, output, "prefer")
}

fn program_with(kernel: Kernel, input: &Path, output: &Path, policy: &str) -> Output {
    let profile = output.with_extension("toml");
    std::fs::write(&profile, PROFILE).unwrap();
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.arg("--input").arg(input).arg("--output").arg(output).arg("--profile").arg(profile);
    command.args(["--sandbox", policy]);
    if kernel == Kernel::Old {
        let filter = old_kernel();
        // SAFETY: installing filters that exist already are system calls.
        unsafe { command.pre_exec(move || age(&filter)) };
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What each file is refused as.
const CODES: [(&str, &str); 16] = [
    ("hls to an address", "EXTERNAL_REFERENCE"),
    ("hls to a file", "EXTERNAL_REFERENCE"),
    ("hls to a concat", "EXTERNAL_REFERENCE"),
    ("hls with a key", "EXTERNAL_REFERENCE"),
    ("dash to an address", "EXTERNAL_REFERENCE"),
    ("dash to a file", "EXTERNAL_REFERENCE"),
    ("concat to a file", "EXTERNAL_REFERENCE"),
    ("concat to an address", "EXTERNAL_REFERENCE"),
    ("sdp", "NOT_MEDIA"),
    ("webvtt to a file", "NOT_MEDIA"),
    ("imf", "NOT_MEDIA"),
    ("xbin", "UNSUPPORTED_CONTAINER"),
    ("gab2 in an avi", "NOTHING_TO_PLAY"),
    ("mov with a url", "EXTERNAL_REFERENCE"),
    ("mov with an alias", "EXTERNAL_REFERENCE"),
    ("mov with a compressed index", "NOT_MEDIA"),
];

#[test]
fn each_hostile_file_ends_with_its_code_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let bait = Bait::lay(folder.path());
    let mut files = texts(&bait);
    files.extend(external_references(&bait, folder.path()));
    files.push(("mov with a compressed index", compressed_index()));
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, CODES.map(|(name, _)| name), "each has its code");
    let (upload, out) = (folder.path().join("upload.mp4"), folder.path().join("out"));
    let good = folder.path().join("good.mp4");
    clip(&good, &[]);
    bait.was_opened();
    for kernel in Kernel::BOTH {
        for ((name, bytes), (_, code)) in files.iter().zip(CODES) {
            std::fs::write(&upload, bytes).unwrap();
            let begin = Instant::now();
            let output = program(kernel, &upload, &out);
            assert_eq!(output.status.code(), Some(10), "{kernel:?} {name}: {}", said(&output));
            assert!(said(&output).contains(&format!("{code}: ")), "{kernel:?} {name}: {}", said(&output));
            assert!(begin.elapsed() < Duration::from_secs(60), "{name}");
            assert!(!bait.was_called() && !bait.was_opened(), "{kernel:?} {name}");
            assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "{name} leaves something behind");
        }
        let output = program(kernel, &good, &folder.path().join("made"));
        assert!(output.status.success(), "{kernel:?}: {}", said(&output));
    }
}

#[test]
fn require_does_not_open_the_input_where_a_layer_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let bait = Bait::lay(folder.path());
    for kernel in Kernel::BOTH {
        let output = program_with(kernel, &bait.secret, &folder.path().join("out"), "require");
        let whole = kernel.has_landlock();
        assert_eq!(output.status.success(), whole, "{kernel:?}: {}", said(&output));
        assert_eq!(said(&output).contains("SANDBOX_UNAVAILABLE: "), !whole, "{kernel:?}: {}", said(&output));
        assert_eq!(bait.was_opened(), whole, "{kernel:?}");
    }
}

/// Subtitles and fonts of a file are data: none is written, opened by its name, or looked for elsewhere.
#[test]
fn fonts_and_attachments_of_a_file_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let bait = Bait::lay(folder.path());
    std::fs::write(at("font.ttf"), b"not a font").unwrap();
    let secret = bait.secret.display();
    std::fs::write(
        at("words.ass"),
        format!(
            "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,{secret},20\n\n\
             [Fonts]\nfontname: ../../planted.ttf\n!!!!\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n\
             Dialogue: 0,0:00:00.00,0:00:00.50,Default,{{\\fn{secret}}}hello{{\\p1}}m 0 0 l 9 9{{\\p0}}\n"
        ),
    )
    .unwrap();
    let (plain, input) = (at("plain.mp4"), at("upload.mkv"));
    clip(&plain, &[]);
    let (plain, words, font) = (plain.to_str().unwrap(), at("words.ass"), at("font.ttf"));
    let inputs = ["-i", plain, "-i", words.to_str().unwrap(), "-map", "0", "-map", "1", "-c", "copy"];
    let attached = ["-attach", font.to_str().unwrap(), "-metadata:s:t", "mimetype=font/ttf"];
    let named = ["-metadata:s:t", "filename=../../planted"];
    ffmpeg(&[&inputs[..], &attached, &named].concat(), &input);
    bait.was_opened();
    for kernel in Kernel::BOTH {
        let out = at("a").join("b").join("out");
        std::fs::create_dir_all(&out).unwrap();
        let output = program(kernel, &input, &out);
        assert!(output.status.success(), "{kernel:?}: {}", said(&output));
        assert!(!bait.was_called() && !bait.was_opened(), "{kernel:?}");
        let left: Vec<_> = [at("a"), at("a/b"), at("")]
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("planted"))
            .collect();
        assert!(left.is_empty(), "{kernel:?} {left:?}");
    }
}
