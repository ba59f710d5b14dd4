//! The program on files, without AWS.

use std::{
    path::Path,
    process::{Command, Output},
};

use transcode_tests::paths;

use crate::fixture::TINY;

/// Runs the program with an environment that has nothing of AWS.
fn alone(folder: &Path, input: &Path) -> Output {
    let profile = folder.join("tiny.toml");
    std::fs::write(&profile, TINY).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_transcode-task"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.arg("--input").arg(input).arg("--output").arg(folder.join("out")).arg("--profile").arg(&profile);
    command.output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_file_becomes_a_folder_that_plays_from_disk_also_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut first = None;
    for _ in 0..2 {
        let output = alone(folder.path(), &paths::clip().unwrap());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("transcoding") && !said.contains('\u{1b}'),
            "plain lines without a terminal: {said}"
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains("master.m3u8"));
        let left = names(&out);
        assert!(left.contains(&"master.m3u8".to_owned()), "{left:?}");
        assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
        assert_eq!(first.get_or_insert_with(|| left.clone()), &left);
    }
    let frames =
        ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"];
    let probe =
        Command::new("ffprobe").args(frames).args(["-of", "csv=p=0"]).arg(out.join("master.m3u8")).output();
    let counted = String::from_utf8(probe.unwrap().stdout).unwrap();
    let counted: u32 = counted.lines().find_map(|line| line.trim_end_matches(',').parse().ok()).unwrap();
    assert!((120..=140).contains(&counted), "the clip has 132 frames, {counted} were played");
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("holiday.mp4");
    std::fs::write(&text, "no video at all\n".repeat(100)).unwrap();
    let refusal = alone(folder.path(), &text);
    assert_eq!(refusal.status.code(), Some(10));
    let said = String::from_utf8_lossy(&refusal.stderr).into_owned();
    assert!(said.contains("NOT_MEDIA") && said.contains("what to do"), "{said}");
    assert!(names(&folder.path().join("out")).is_empty());

    let missing = alone(folder.path(), &folder.path().join("nothing.mp4"));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("SOURCE_MISSING"));
}
