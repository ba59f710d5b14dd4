//! Inputs that are refused, each by its name.

use std::path::Path;

use transcode_config::{contract::FailureCode, ladder::Profile};

use crate::support::{clip, ffmpeg, quick, run, variant};

async fn refused(input: &Path) -> FailureCode {
    let run = run(input, &quick()).await;
    let failure = run.result.expect_err("it was accepted");
    failure.code
}

#[tokio::test]
async fn what_is_not_media_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mp4");
    let random: Vec<u8> = (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    for (bytes, code) in [
        (&b""[..], FailureCode::Empty),
        (b"this is only a text\n", FailureCode::NotMedia),
        (&random, FailureCode::NotMedia),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n", FailureCode::ExternalReference),
    ] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(refused(&file).await, code, "{} bytes", bytes.len());
    }
}

#[tokio::test]
async fn a_truncated_source_is_found_wherever_it_was_cut_and_wherever_its_index_is() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("end.mp4", "-c copy"),
        ("start.mp4", "-c copy -movflags +faststart"),
        ("fragments.mp4", "-c copy -movflags +frag_keyframe+empty_moov"),
        ("x.mkv", "-c copy"),
        ("x.avi", "-c:v mpeg4 -b:v 300k -c:a mp3 -ac 2 -s 320x180"),
    ];
    for (name, args) in cases {
        let whole = variant(folder.path(), name, args);
        let bytes = std::fs::read(&whole).unwrap();
        for share in [50, 90] {
            let cut = folder.path().join(format!("cut-{name}"));
            std::fs::write(&cut, &bytes[..bytes.len() * share / 100]).unwrap();
            assert_eq!(refused(&cut).await, FailureCode::SourceTruncated, "{share} % of {name}");
        }
    }
}

#[tokio::test]
async fn images_covers_and_empty_containers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let image = variant(folder.path(), "x.png", "-frames:v 1 -update 1 -f image2");
    assert_eq!(refused(&image).await, FailureCode::StillImage);
    let animation = variant(folder.path(), "x.gif", "-t 0.5 -s 64x36");
    assert_eq!(refused(&animation).await, FailureCode::StillImage);
    let subtitles = folder.path().join("x.srt");
    std::fs::write(&subtitles, "1\n00:00:00,000 --> 00:00:01,000\nhello\n").unwrap();
    let words = folder.path().join("words.mkv");
    ffmpeg(&["-i", subtitles.to_str().unwrap()], "-c:s srt", &words);
    assert_eq!(refused(&words).await, FailureCode::NothingToPlay);
}

#[tokio::test]
async fn limits_are_refusals_with_numbers() {
    let short = Profile { max_duration_seconds: 3, ..quick() };
    let failure = run(&clip(), &short).await.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::TooLong);
    assert_eq!(failure.evidence["allowed_seconds"], "3");
    let folder = tempfile::tempdir().unwrap();
    let many = folder.path().join("many.mkv");
    let maps = "-map 0:v ".repeat(70);
    ffmpeg(&["-i", clip().to_str().unwrap()], &format!("{maps} -t 0.2 -c copy"), &many);
    assert_eq!(refused(&many).await, FailureCode::TooManyStreams);
}

#[tokio::test]
async fn a_video_too_large_to_decode_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = folder.path().join("bomb.mkv");
    ffmpeg(&["-f", "lavfi", "-i", "color=black:size=16000x16000:rate=1"], "-frames:v 1 -c:v png", &bomb);
    assert_eq!(refused(&bomb).await, FailureCode::TooManyPixels);
}

#[tokio::test]
async fn a_movie_whose_media_lies_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let movie = variant(folder.path(), "x.mov", "-t 1 -c copy");
    let mut bytes = std::fs::read(&movie).unwrap();
    // The flag "in this same file" of the first data reference.
    let at = bytes.windows(4).position(|window| window == b"dref").unwrap() + 4 + 8 + 8;
    assert_eq!(bytes[at + 3], 1);
    bytes[at + 3] = 0;
    std::fs::write(&movie, bytes).unwrap();
    assert_eq!(refused(&movie).await, FailureCode::ExternalReference);
}
