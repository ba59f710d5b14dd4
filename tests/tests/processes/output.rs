//! Standard output that blocks: log lines are lost, and no work (row 55 of the fault catalogue).

use std::{
    fs::File,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::fs::OFlags;
use transcode_tests::{Stack, StackOptions, aftermath::Expected, paths};

const LIMIT: Duration = Duration::from_mins(2);

/// An upload goes through a controller with its log on `out`.
async fn an_upload_goes_through(out: &Path) {
    let options = StackOptions { without_controller: true, ..StackOptions::default() }
        .setting("jobs.default_profile", "\"audio\"")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let mut controller = stack.plan.start_into(out).await.unwrap();
    stack.put_source_body("clip.mp4", paths::tiny_clip(stack.folder()).unwrap()).await.unwrap();
    stack.aftermath("clip.mp4", Expected::SUCCESS, LIMIT).await.unwrap();
    let ended = controller.stop(Duration::from_secs(20)).unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open at both ends, so that a writer finds a reader, and full, so that it never gets a byte in.
    let mut ends = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&pipe)
        .unwrap();
    let full = loop {
        if let Err(error) = ends.write(&[b'\n'; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    an_upload_goes_through(&pipe).await;
}

#[tokio::test]
async fn a_log_on_a_full_disk_holds_nothing_up() {
    an_upload_goes_through(Path::new("/dev/full")).await;
}
