//! The real programs do their work inside.

use std::path::{Path, PathBuf};

use transcode_config::contract::FailureCode;
use transcode_media::process::{Invocation, Tool, input_flags};

use crate::support::{Kernel, call, call_on, run, strs, tools};

/// A short clip with video and audio: the real one, where `scripts/setup` has put it, else one made here.
async fn clip(folder: &Path) -> PathBuf {
    if let Some(path) = std::env::var_os("TRANSCODE_TEST_CLIP") {
        return PathBuf::from(path).canonicalize().unwrap();
    }
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/media");
    let mut found: Vec<_> =
        std::fs::read_dir(media).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "mp4"));
    found.sort();
    if let Some(path) = found.first() {
        return path.canonicalize().unwrap();
    }
    let made = folder.join("made.mp4");
    let args = "-v error -nostdin -f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -c:a aac \
                -shortest made.mp4";
    let args: Vec<_> = args.split_whitespace().collect();
    run(&tools(), Invocation { output_dir: Some(folder.into()), ..call(Tool::Ffmpeg, &args) }).await.unwrap();
    made
}

fn encode_args(input: &Path, codec: &str) -> Vec<String> {
    let head = "-v error -nostdin -progress pipe:1".split_whitespace().map(String::from);
    let tail = format!("-t 1 -vf scale=320:-2 {codec} -c:a aac -ac 2 out.mp4");
    let tail: Vec<_> = tail.split_whitespace().map(String::from).collect();
    head.chain(input_flags()).chain(["-i".into(), input.display().to_string()]).chain(tail).collect()
}

fn probe_args(input: &Path) -> Vec<String> {
    let head = "-v error -of json -show_format -show_streams".split_whitespace().map(String::from);
    head.chain(input_flags()).chain([input.display().to_string()]).collect()
}

fn encodes(codec: &str, name: &str) {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let input = clip(folder.path()).await;
            let tools = tools();
            let args = encode_args(&input, codec);
            let outputs = tempfile::tempdir().unwrap();
            let done = run(&tools, call_on(Tool::Ffmpeg, &strs(&args), &input, Some(outputs.path()))).await;
            let done =
                done.unwrap_or_else(|failure| panic!("{kernel:?} {name}: {failure} {:?}", failure.evidence));
            assert!(String::from_utf8_lossy(&done.stdout).contains("progress=end"), "{kernel:?}");

            let output = outputs.path().join("out.mp4");
            let args = probe_args(&output);
            let done = run(&tools, call_on(Tool::Ffprobe, &strs(&args), &output, None)).await.unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(answer["streams"][0]["codec_name"], name, "{kernel:?}");
            assert_eq!(answer["streams"][1]["codec_name"], "aac", "{kernel:?}");
        });
    }
}

#[test]
fn h264_and_aac_are_encoded_inside() {
    encodes("-c:v libx264 -preset veryfast", "h264");
}

#[test]
fn hevc_is_encoded_inside() {
    encodes("-c:v libx265 -preset ultrafast -x265-params log-level=error", "hevc");
}

#[test]
fn av1_is_encoded_inside_by_svt() {
    encodes("-c:v libsvtav1 -preset 12", "av1");
}

#[test]
fn av1_is_encoded_inside_by_libaom() {
    encodes("-c:v libaom-av1 -cpu-used 8 -row-mt 1 -threads 4", "av1");
}

#[test]
fn a_file_that_is_not_there_is_a_failure_of_ffmpeg_with_its_words() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let folder = tempfile::tempdir().unwrap();
            let input = folder.path().join("none.mp4");
            let args = encode_args(&input, "-c:v libx264");
            let failure = run(&tools(), call_on(Tool::Ffmpeg, &strs(&args), &input, Some(folder.path())))
                .await
                .unwrap_err();
            assert_eq!(failure.code, FailureCode::EncodeFailed);
            assert!(failure.evidence["stderr"].contains("No such file or directory"), "{failure:?}");
        });
    }
}
