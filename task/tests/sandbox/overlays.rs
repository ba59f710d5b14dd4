//! Hostile files in the place of the image over the video: each is refused by one code, nothing is reached or read, and
//! the source is not blamed.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Failure, FailureCode, Placement},
    ladder::Profile,
};
use transcode_media::{MediaJob, OverlayFile, Package};

use crate::{
    corpus::{Bait, clip, ffmpeg, texts},
    support::{Kernel, tools},
};

const PROFILE: &str = "
name = 'small'
codec = 'h264'
crf = 30
preset = 'ultrafast'
gop_seconds = 1
segment_gops = 1
max_duration_seconds = 60
audio.bps = 64_000
images = { poster = false, storyboard = false }
[[rung]]
short_side = 64
average_bps = 100_000
max_bps = 200_000
buffer_bits = 400_000
codec_profile = 'high'
";

/// A whole job on `source` with `overlay`, of which one asks nothing but that it is made or refused.
async fn job(folder: &Path, source: &Path, overlay: &Path) -> Result<Package, Failure> {
    let scratch = tempfile::tempdir_in(folder).unwrap();
    let (work, output) = (scratch.path().join("work"), scratch.path().join("output"));
    std::fs::create_dir(&work).unwrap();
    std::fs::create_dir(&output).unwrap();
    let job = MediaJob {
        input: source,
        work: &work,
        output: &output,
        folder: "v-test-1/",
        profile: &Profile::parse("small", PROFILE).unwrap(),
        clip: None,
        overlay: Some(OverlayFile { file: overlay, place: Placement::default() }),
        user_metadata: None,
    };
    let (events, _inbox) = unbounded_channel();
    transcode_media::make(&job, &tools(), &events, &CancellationToken::new()).await
}

fn svg(bait: &Bait) -> Vec<u8> {
    let (secret, address) = (bait.secret.display(), bait.address());
    format!(
        "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:x=\"http://www.w3.org/1999/xlink\" \
         width=\"64\" height=\"64\"><image x:href=\"file://{secret}\" width=\"9\" height=\"9\"/>\
         <image x:href=\"http://{address}/\" width=\"9\" height=\"9\"/></svg>"
    )
    .into_bytes()
}

fn image(folder: &Path, size: &str) -> PathBuf {
    let file = folder.join(format!("{size}.png"));
    let source = format!("color=gray:s={size}:d=1,format=gray");
    ffmpeg(&["-f", "lavfi", "-i", &source, "-frames:v", "1", "-update", "1"], &file);
    file
}

#[test]
fn what_is_no_small_image_over_the_video_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (bait, source) = (Bait::lay(folder.path()), folder.path().join("source.mp4"));
    clip(&source, &[]);
    let good = image(folder.path(), "64x64");
    let noise = folder.path().join("noise.png");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=400x400", "-frames:v", "1", "-update", "1"], &noise);
    let whole = std::fs::read(noise).unwrap();
    let bomb = std::fs::read(image(folder.path(), "16000x16000")).unwrap();
    assert!(bomb.len() < 2 << 20, "{} bytes for 256 megapixels", bomb.len());
    let mut hostile = texts(&bait);
    hostile.extend([
        ("svg", svg(&bait)),
        ("a bomb", bomb),
        ("an image cut in half", whole[..whole.len() / 2].to_vec()),
        ("an image without its end", whole[..whole.len() - 40].to_vec()),
        ("a film", std::fs::read(&source).unwrap()),
        ("nothing of an image but its signature", whole[..8].to_vec()),
    ]);
    for kernel in Kernel::BOTH {
        kernel.run(async || {
            let overlay = folder.path().join("overlay");
            for (name, bytes) in &hostile {
                std::fs::write(&overlay, bytes).unwrap();
                let failure = job(folder.path(), &source, &overlay).await.expect_err(name);
                assert_eq!(failure.code, FailureCode::OverlayUnusable, "{kernel:?} {name}: {failure:?}");
                assert!(!bait.was_called() && !bait.was_opened(), "{kernel:?} {name}: it got out");
            }
            let made = job(folder.path(), &source, &good).await;
            assert!(made.is_ok(), "{kernel:?}: the next one works, {made:?}");
        });
    }
}
