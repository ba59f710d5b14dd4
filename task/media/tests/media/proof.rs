//! The proof finds what it is there to find: a good package is spoiled in one place, and the rule for it is named.

use std::{path::Path, process::Command};

use transcode_config::{
    contract::FailureCode,
    ladder::{Profile, ProgressiveSettings},
};
use transcode_media::{
    examine::{
        probe,
        scan::{self, Scan},
    },
    plan::{self, Plan, timeline},
    verify,
};

use crate::support::{Run, clip, ffmpeg, quick, run};

/// The plan of a job on `source`, made by the same pure parts.
fn plan_of(source: &Path, profile: &Profile) -> Plan {
    let answer = |args: &[&str]| {
        Command::new("ffprobe").args(["-v", "error"]).args(args).arg(source).output().unwrap().stdout
    };
    let json = answer(&["-show_format", "-show_streams", "-of", "json"]);
    let mut info = probe::parse(&json, 1).unwrap();
    let mut packets = Scan::default();
    let lines = answer(&["-show_entries", scan::ENTRIES, "-of", "compact=p=0:nk=1"]);
    String::from_utf8(lines).unwrap().lines().for_each(|line| packets.line(line));
    let timeline = timeline::lay_out(&mut info, &packets).unwrap();
    plan::make(&info, &timeline, profile).unwrap()
}

/// With everything that there are rules for.
fn profile() -> Profile {
    let mut profile = Profile { progressive: Some(ProgressiveSettings { max_short_side: 100 }), ..quick() };
    profile.audio.surround_bps = Some(192_000);
    profile
}

fn edit(run: &Run, path: &str, from: &str, to: &str) {
    let text = run.text(path);
    assert!(text.contains(from), "{from} is not in {path}: {text}");
    std::fs::write(run.output().join(path), text.replacen(from, to, 1)).unwrap();
}

fn spoil(run: &Run, path: &str, at: &[u8], change: impl Fn(&mut [u8])) {
    let path = run.output().join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(at.len()).position(|window| window == at).unwrap();
    change(&mut bytes[at..]);
    std::fs::write(path, bytes).unwrap();
}

type Spoiler = fn(&Run);

const SPOILERS: &[(&str, Spoiler)] = &[
    ("hls.extinf", |run| edit(run, "video/90p/index.m3u8", "#EXTINF:2.000000", "#EXTINF:2.100000")),
    ("hls.complete", |run| edit(run, "video/90p/index.m3u8", "#EXT-X-ENDLIST", "")),
    ("hls.target-duration", |run| edit(run, "audio/main/index.m3u8", "TARGETDURATION:2", "TARGETDURATION:3")),
    ("video.frames", |run| edit(run, "video/180p/index.m3u8", "#EXTINF:1.280000,\n00003.m4s\n", "")),
    ("hls.bandwidth", |run| edit(run, "entry/master.m3u8", ":BANDWIDTH=", ":BANDWIDTH=1")),
    ("hls.codecs", |run| edit(run, "entry/master.m3u8", "CODECS=\"avc1.4", "CODECS=\"avc1.5")),
    ("hls.resolution", |run| edit(run, "entry/master.m3u8", "RESOLUTION=320x180", "RESOLUTION=320x184")),
    ("hls.channels", |run| edit(run, "entry/master.m3u8", "CHANNELS=\"6\"", "CHANNELS=\"2\"")),
    ("hls.variants", |run| edit(run, "entry/master.m3u8", "AUDIO=\"surround\"", "AUDIO=\"audio\"")),
    ("hls.groups", |run| edit(run, "entry/master.m3u8", "NAME=\"Main\"", "NAME=\"Other\"")),
    ("dash.channels", |run| edit(run, "entry/manifest.mpd", "value=\"6\"", "value=\"2\"")),
    ("dash.codecs", |run| edit(run, "entry/manifest.mpd", "codecs=\"avc1.4", "codecs=\"avc1.5")),
    ("dash.resolution", |run| edit(run, "entry/manifest.mpd", "height=\"180\"", "height=\"184\"")),
    ("dash.bandwidth", |run| edit(run, "entry/manifest.mpd", "bandwidth=\"", "bandwidth=\"1")),
    ("hls.addresses", |run| edit(run, "entry/master.m3u8", "video/90p/index", "video/91p/index")),
    ("listing.addresses", |run| edit(run, "entry/manifest.json", "video/90p/index", "video/91p/index")),
    ("listing.complete", |run| edit(run, "entry/manifest.json", "\"dash\"", "\"dish\"")),
    ("hls.i-frames", |run| edit(run, "video/90p/iframes.m3u8", "@28\n", "@29\n")),
    ("dash.timeline", |run| edit(run, "entry/manifest.mpd", "<S t=\"0\" d=\"", "<S t=\"0\" d=\"1")),
    ("dash.addresses", |run| edit(run, "entry/manifest.mpd", "video/180p/init", "video/180p/unit")),
    // The second segment's clock runs ahead; its first frame is no key frame; the first one begins late.
    ("track.continuous", |run| spoil(run, "video/90p/00002.m4s", b"tfdt", |bytes| bytes[15] ^= 1)),
    ("track.start", |run| spoil(run, "video/90p/00001.m4s", b"tfdt", |bytes| bytes[15] = 9)),
    ("video.upright", |run| spoil(run, "video/90p/init.mp4", b"tkhd", |bytes| bytes[45] = 2)),
    ("progressive.index-first", |run| spoil(run, "entry/video.mp4", b"moov", |bytes| bytes[0] = b'w')),
    ("progressive.upright", |run| spoil(run, "entry/video.mp4", b"tkhd", |bytes| bytes[45] = 2)),
    // One frame fewer at the end; the second frame of the index begins late.
    ("progressive.frames", |run| spoil(run, "entry/video.mp4", b"stts", |bytes| bytes[15] -= 1)),
    ("package.readable", |run| {
        let path = run.output().join("audio/main/00001.m4s");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }),
];

/// Those that need a rung of high dynamic range.
const HIGH_RANGE_SPOILERS: &[(&str, Spoiler)] = &[
    ("video.range", |run| spoil(run, "video/hdr-180p/init.mp4", b"colrnclx", |bytes| bytes[11] = 18)),
    ("hls.video-range", |run| edit(run, "entry/master.m3u8", "VIDEO-RANGE=PQ", "VIDEO-RANGE=SDR")),
    ("dash.codecs", |run| edit(run, "entry/manifest.mpd", "codecs=\"hvc1.2", "codecs=\"hvc1.1")),
    ("dash.transfer", |run| edit(run, "entry/manifest.mpd", ":TransferCharacteristics", ":Other")),
    ("dash.transfer", |run| edit(run, "entry/manifest.mpd", "value=\"16\"", "value=\"18\"")),
];

async fn each_is_found(source: &Path, profile: &Profile, spoilers: &[(&str, Spoiler)]) {
    let good = run(source, profile).await;
    good.package();
    let plan = plan_of(source, profile);
    let check = || verify::verify(&good.output(), "v-test-1/", &plan, Vec::new());
    check().unwrap();
    let kept = good.folder.path().join("kept");
    let copy = |from: &Path, to: &Path| {
        std::fs::remove_dir_all(to).ok();
        assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    };
    copy(&good.output(), &kept);
    for (rule, spoil) in spoilers {
        spoil(&good);
        let failure = check().expect_err(rule);
        assert_eq!(failure.code, FailureCode::VerifyFailed);
        assert_eq!(failure.evidence["rule"], *rule, "{:?}", failure.evidence);
        copy(&kept, &good.output());
    }
}

#[tokio::test]
async fn each_rule_finds_what_it_is_there_for() {
    each_is_found(&clip(), &profile(), SPOILERS).await;
    let folder = tempfile::tempdir().unwrap();
    let source = crate::video::high_range(folder.path(), "smpte2084");
    each_is_found(&source, &crate::video::with_high_range(), HIGH_RANGE_SPOILERS).await;
}

#[tokio::test]
async fn frames_that_cannot_be_decoded_at_the_end_fail_and_in_the_middle_are_concealed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    let clip = clip();
    let args = "-t 3 -an -s 320x180 -c:v libx264 -preset ultrafast -g 25 -bf 0";
    ffmpeg(&["-i", clip.to_str().unwrap()], args, &source);
    for (drop, code) in [("gt(pts*tb,2)", Some(FailureCode::DecodeFailed)), ("between(pts*tb,1.2,1.6)", None)]
    {
        let damaged = folder.path().join("damaged.mkv");
        // The packets are there, with their times, but every byte in them is another.
        let args = format!("-c copy -bsf:v noise=amount='if({drop},1,0)'");
        ffmpeg(&["-i", source.to_str().unwrap()], &args, &damaged);
        let run = run(&damaged, &quick()).await;
        assert_eq!(run.result.err().map(|failure| failure.code), code, "{drop}");
    }
}
