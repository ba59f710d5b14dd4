//! The task's own memory does not grow with the video: segments are cut, hashed and verified a piece at a time.
//!
//! A program of its own, because it looks at the peak of the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[allow(dead_code, reason = "shared with the tests of the media part, which use all of it")]
#[path = "../media/support.rs"]
mod support;

use std::path::{Path, PathBuf};

use support::{ffmpeg, quick, run};

/// Most that the peak may rise by, in bytes: a longer run meets more of the allocator's moods and of segments under way
/// together. Keeping what was made would raise it by more than all of the output.
const ROOM: u64 = 32 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// Noise, which no encoder makes small: about 2 MB a second at the rate below.
fn noise(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join(format!("{seconds}.mp4"));
    let graph = format!("nullsrc=s=320x180:r=25:d={seconds},noise=alls=100:allf=t:all_seed=1");
    ffmpeg(&["-f", "lavfi", "-i", &graph], "-c:v libx264 -preset ultrafast -crf 20", &path);
    path
}

#[tokio::test]
async fn a_long_heavy_video_takes_no_more_memory_than_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut profile = quick();
    profile.rungs.remove(0);
    profile.crf = 10;
    for rung in &mut profile.rungs {
        (rung.average_bps, rung.max_bps, rung.buffer_bits) = (20_000_000, 40_000_000, 80_000_000);
    }
    profile.images.storyboard = false;
    let short = run(&noise(folder.path(), 6), &profile).await;
    short.package();
    let before = peak();
    let long = run(&noise(folder.path(), 50), &profile).await;
    let bytes: u64 = long.package().files.iter().map(|file| file.size).sum();
    let more = peak() - before;
    assert!(bytes > 2 * ROOM, "the test file is too light: {bytes} bytes");
    assert!(more < ROOM, "{more} bytes more for {bytes} bytes of video");
}
