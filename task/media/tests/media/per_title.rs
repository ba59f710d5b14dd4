//! Rates that follow the title.

use std::path::{Path, PathBuf};

use serde_json::Value;
use transcode_config::{
    contract::Clip,
    ladder::{PerTitleSettings, Profile, ProgressiveSettings},
};

use crate::support::{Run, ffmpeg, quick, run, run_edited, run_prepared};

fn per_title() -> Profile {
    let settings = PerTitleSettings { samples: 2, sample_seconds: 1, ..PerTitleSettings::default() };
    let progressive = Some(ProgressiveSettings { max_short_side: 100 });
    Profile { per_title: Some(settings), progressive, ..quick() }
}

/// Ten seconds at 320x180 from a generator.
fn made(folder: &Path, name: &str, graph: &str) -> PathBuf {
    let path = folder.join(name);
    let graph = format!("{graph},format=yuv420p");
    let args = "-t 10 -c:v libx264 -preset ultrafast -crf 12";
    ffmpeg(&["-f", "lavfi", "-i", &graph], args, &path);
    path
}

/// What `metadata.json` says of it.
fn told(run: &Run) -> Value {
    run.package();
    let metadata: Value = serde_json::from_str(&run.text("entry/metadata.json")).unwrap();
    metadata["result"]["per_title"].clone()
}

fn names(run: &Run) -> Vec<&str> {
    run.package().summary.video.iter().map(|rung| rung.name.as_str()).collect()
}

#[tokio::test]
async fn an_easy_title_gets_few_rungs_and_few_bits_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let source = made(folder.path(), "easy.mp4", "smptehdbars=s=320x180:r=25");
    let first = run(&source, &per_title()).await;
    let told_first = told(&first);
    assert_eq!(names(&first), ["180p"], "{told_first}");
    assert_ne!(told_first["rungs"][0]["verdict"], "made", "{told_first}");
    assert_eq!(told_first["samples"].as_array().unwrap().len(), 2, "{told_first}");
    let cap = told_first["rungs"][1]["max_bps"].as_u64().unwrap();
    assert!(cap <= 200_000, "the profile's cap is 600 kb/s, and this got {cap}");
    assert!(first.package().summary.video[0].peak_bps <= cap, "{:?}", first.package().summary.video);
    let master = first.text("entry/master.m3u8");
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 1, "{master}");
    // The progressive file wanted the rung that is not made.
    assert_eq!(first.package().summary.progressive.as_ref().unwrap().rung.as_deref(), Some("180p"));
    let second = run(&source, &per_title()).await;
    assert_eq!(told(&second), told_first);
}

#[tokio::test]
async fn a_hard_title_keeps_the_profiles_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "testsrc2=s=320x180:r=25,noise=alls=80:allf=t:all_seed=1";
    let source = made(folder.path(), "hard.mp4", noise);
    let run = run(&source, &per_title()).await;
    let told = told(&run);
    assert_eq!(names(&run), ["90p", "180p"], "{told}");
    for (rung, planned) in told["rungs"].as_array().unwrap().iter().zip(quick().rungs) {
        assert_eq!(rung["average_bps"], planned.average_bps, "{told}");
        assert_eq!(rung["max_bps"], planned.max_bps, "{told}");
        assert!(rung["need"]["average_bps"].as_u64().unwrap() > planned.max_bps, "{told}");
    }
}

#[tokio::test]
async fn a_clip_gets_the_rates_of_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    // Three seconds of noise, two of bars, five of noise.
    let graph = "smptehdbars=s=320x180:r=25,noise=alls=80:allf=t:enable='lt(t,3)+gte(t,5)'";
    let source = made(folder.path(), "both.mp4", graph);
    let clip = Clip { start_ms: 3000, end_ms: Some(5000) };
    let told = told(&run_edited(&source, &per_title(), Some(clip), None).await);
    let rungs = told["rungs"].as_array().unwrap();
    assert_eq!(rungs.len(), 2, "{told}");
    for rung in rungs {
        assert!(rung["need"]["average_bps"].as_u64().unwrap() < 100_000, "{told}");
    }
}

#[tokio::test]
async fn where_no_sample_can_be_made_the_ladder_is_kept_and_metadata_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let source = made(folder.path(), "easy.mp4", "smptehdbars=s=320x180:r=25");
    // Something else lies where the samples would go.
    let in_the_way = |work: &Path| std::fs::write(work.join("samples"), "").unwrap();
    let run = run_prepared(&source, &per_title(), in_the_way).await;
    let told = told(&run);
    assert!(told["not_measured"].as_str().is_some_and(|why| why.contains("cannot be written")), "{told}");
    assert_eq!(names(&run), ["90p", "180p"], "{told}");
}
