//! Hostile files: nothing is reached, nothing is read, each ends with its code, and the next run works.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use transcode_config::contract::{Failure, FailureCode};
use transcode_media::{
    process::{Finished, Invocation, Limits, Tool, Tools, input_flags},
    sandbox::{Layer, Sandbox, SandboxPolicy},
};

use crate::{
    corpus::{Bait, clip, external_references, ffmpeg, texts},
    support::{Kernel, LIMITS, call_on, landlock_is_there, run, strs, tools},
};

/// Time and memory for what should be refused at a glance.
const TIGHT: Limits = Limits {
    wall: Duration::from_secs(20),
    stall: Duration::from_secs(20),
    cpu_seconds: 20,
    memory_bytes: 2 << 30,
    ..LIMITS
};

fn local(path: &Path) -> String {
    format!("file:{}", path.display())
}

/// Opens a file as a job does: described, then encoded.
async fn open(
    tools: &Tools,
    file: &Path,
    folder: &Path,
) -> (Result<Finished, Failure>, Result<Finished, Failure>) {
    let args = [
        ["-v", "error", "-of", "json", "-show_format", "-show_streams"].map(String::from).to_vec(),
        input_flags(),
    ];
    let args = [args.concat(), vec![local(file)]].concat();
    let probe = call_on(Tool::Ffprobe, &strs(&args), file, None);
    let probed = run(tools, Invocation { limits: TIGHT, ..probe }).await;
    let encode = call_on(Tool::Ffmpeg, &strs(&encode_args(file, &input_flags())), file, Some(folder));
    (probed, run(tools, Invocation { limits: TIGHT, ..encode }).await)
}

fn encode_args(file: &Path, flags: &[String]) -> Vec<String> {
    let head = ["-v", "error", "-nostdin", "-y"].map(String::from).to_vec();
    let tail = ["-c:v", "libx264", "-c:a", "aac", "out.mp4"].map(String::from).to_vec();
    [head, flags.to_vec(), vec!["-i".into(), local(file)], tail].concat()
}

struct Ground {
    _folder: tempfile::TempDir,
    path: PathBuf,
    outputs: PathBuf,
    bait: Bait,
}

fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let (path, outputs) = (folder.path().to_path_buf(), folder.path().join("outputs"));
    std::fs::create_dir(&outputs).unwrap();
    let bait = Bait::lay(&path);
    Ground { _folder: folder, path, outputs, bait }
}

impl Ground {
    fn put(&self, bytes: &[u8]) -> PathBuf {
        let file = self.path.join("upload.mp4");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    fn assert_untouched(&self, what: &str) {
        assert!(!self.bait.was_called(), "{what}: the listener was called");
        assert!(!self.bait.was_opened(), "{what}: the secret was opened");
    }
}

#[test]
fn texts_that_name_other_files_and_addresses_are_refused() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let (ground, tools) = (ground(), tools());
            for (name, bytes) in texts(&ground.bait) {
                let (probed, encoded) = open(&tools, &ground.put(&bytes), &ground.outputs).await;
                // A text in a container that is accepted may be described, as a stream without a meaning.
                if name != "gab2 in an avi" {
                    assert_eq!(probed.unwrap_err().code, FailureCode::EncodeFailed, "{kernel:?} {name}");
                }
                assert_eq!(encoded.unwrap_err().code, FailureCode::EncodeFailed, "{kernel:?} {name}");
                ground.assert_untouched(name);
            }
            let good = ground.path.join("good.mp4");
            clip(&good, &[]);
            let (probed, encoded) = open(&tools, &good, &ground.outputs).await;
            assert!(probed.is_ok() && encoded.is_ok(), "the next run works");
        });
    }
}

#[test]
fn tracks_in_other_files_are_not_followed() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let (ground, tools) = (ground(), tools());
            for (name, bytes) in external_references(&ground.bait, &ground.path) {
                let file = ground.put(&bytes);
                // ffmpeg takes what it finds at those offsets in the file itself; that such a file is refused by name is the
                // probe's business.
                let _ = open(&tools, &file, &ground.outputs).await;
                ground.assert_untouched(name);
                if name != "mov with an alias" {
                    continue;
                }
                // With references switched on and no sandbox, ffmpeg goes where the file points.
                let flags = ["-enable_drefs", "1", "-use_absolute_path", "1"].map(String::from);
                let call =
                    call_on(Tool::Ffmpeg, &strs(&encode_args(&file, &flags)), &file, Some(&ground.outputs));
                let both = [Layer::Landlock, Layer::Seccomp];
                let ended = run(&sandbox_without(&both), Invocation { limits: TIGHT, ..call }).await;
                assert!(ground.bait.was_opened(), "{name}: the bait works {ended:?}");
            }
        });
    }
}

fn sandbox_without(layers: &[Layer]) -> Tools {
    let path = tools().path(Tool::Ffmpeg).to_path_buf();
    let sandbox = Sandbox::without(SandboxPolicy::Prefer, layers.iter().copied().collect());
    Tools::stand_in(&path, sandbox.unwrap())
}

/// Flags as a careless caller would give them: the file decides what is opened.
fn careless() -> Vec<String> {
    let flags = "-protocol_whitelist file,http,tcp,crypto,data -allowed_extensions ALL -f hls";
    flags.split_whitespace().map(String::from).collect()
}

#[test]
fn without_the_flags_the_sandbox_alone_stops_a_playlist() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let ground = ground();
            let playlists: Vec<_> = texts(&ground.bait).into_iter().take(2).collect();
            let open = async |tools: &Tools, bytes: &[u8]| {
                let file = ground.put(bytes);
                let call = call_on(
                    Tool::Ffmpeg,
                    &strs(&encode_args(&file, &careless())),
                    &file,
                    Some(&ground.outputs),
                );
                run(tools, Invocation { limits: TIGHT, ..call }).await
            };
            let (to_address, to_file) = (&playlists[0].1, &playlists[1].1);

            // The flags are gone, the sandbox is there: no socket in either kernel, no file where Landlock is.
            let ended = open(&tools(), to_address).await;
            let failure = ended.unwrap_err();
            assert_eq!(failure.code, FailureCode::SandboxViolation, "{kernel:?} {failure:?}");
            assert!(!ground.bait.was_called());
            let read = open(&tools(), to_file).await;
            assert_eq!(ground.bait.was_opened(), !landlock_is_there(), "{kernel:?} {read:?}");

            // Both are gone: the bait works.
            let both = [Layer::Landlock, Layer::Seccomp];
            let limits = Limits { wall: Duration::from_secs(3), ..TIGHT };
            let file = ground.put(to_address);
            let call =
                call_on(Tool::Ffmpeg, &strs(&encode_args(&file, &careless())), &file, Some(&ground.outputs));
            let _ = run(&sandbox_without(&both), Invocation { limits, ..call }).await;
            assert!(ground.bait.was_called(), "the listener notices");
            let read = open(&sandbox_without(&both), to_file).await;
            assert!(ground.bait.was_opened(), "the watch notices {read:?}");
        });
    }
}

#[test]
fn names_and_titles_that_look_like_arguments_are_names_and_titles() {
    let names = [
        "-i.mp4",
        "-f lavfi.mp4",
        "%d.mp4",
        "concat:a|b.mp4",
        "a\nb.mp4",
        "http:x.mp4",
        "'\"$(id)`;.mp4",
        "a*?[.mp4",
    ];
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let (ground, tools) = (ground(), tools());
            let plain = ground.path.join("plain.mp4");
            let title = "title=-f lavfi -i color; [0:v]movie=/etc/passwd[x] %d ${HOME} \u{1b}[31m";
            clip(&plain, &["-metadata", title, "-metadata", "comment=-vf drawtext=textfile=/etc/passwd"]);
            for name in names {
                let file = ground.path.join(name);
                std::fs::copy(&plain, &file).unwrap();
                let (probed, encoded) = open(&tools, &file, &ground.outputs).await;
                assert!(probed.is_ok(), "{name} {probed:?}");
                assert!(encoded.is_ok(), "{name} {encoded:?}");
                let left: Vec<_> = std::fs::read_dir(&ground.outputs)
                    .unwrap()
                    .flatten()
                    .map(|entry| entry.file_name())
                    .collect();
                assert_eq!(left, ["out.mp4"], "{name}");
                ground.assert_untouched(name);
            }
        });
    }
}

#[test]
fn an_attachment_stays_where_it_is() {
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let (ground, tools) = (ground(), tools());
            let font = ground.path.join("font.ttf");
            std::fs::write(&font, b"not a font").unwrap();
            let file = ground.path.join("upload.mkv");
            let font = font.display().to_string();
            clip(
                &file,
                &[
                    "-attach",
                    &font,
                    "-metadata:s:t",
                    "mimetype=font/ttf",
                    "-metadata:s:t",
                    "filename=../../planted",
                ],
            );
            let (probed, encoded) = open(&tools, &file, &ground.outputs).await;
            assert!(probed.is_ok() && encoded.is_ok(), "{probed:?} {encoded:?}");
            assert!(!ground.path.join("planted").exists() && !ground.outputs.join("planted").exists());
        });
    }
}

#[test]
fn a_video_that_is_too_large_takes_neither_time_nor_memory() {
    let ground = ground();
    let bomb = ground.path.join("bomb.png");
    ffmpeg(&["-f", "lavfi", "-i", "color=black:s=9000x8000:d=1,format=gray", "-frames:v", "1"], &bomb);
    assert!(bomb.metadata().unwrap().len() < 1 << 20, "some kilobytes for 72 megapixels");
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let begin = Instant::now();
            let (_, encoded) = open(&tools(), &bomb, &ground.outputs).await;
            let failure = encoded.unwrap_err();
            assert_eq!(failure.code, FailureCode::EncodeFailed, "{failure:?}");
            assert!(begin.elapsed() < Duration::from_secs(10));

            // Without the flag it is the limit of the memory that stops it.
            let call = call_on(Tool::Ffmpeg, &strs(&encode_args(&bomb, &[])), &bomb, Some(&ground.outputs));
            let limits = Limits { memory_bytes: 600 << 20, ..TIGHT };
            let failure = run(&tools(), Invocation { limits, ..call }).await.unwrap_err();
            assert!(
                [FailureCode::MemoryLimit, FailureCode::EncodeFailed].contains(&failure.code),
                "{failure:?}"
            );
        });
    }
}
