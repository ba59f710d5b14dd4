//! Interlaced video: whole frames come out, whatever header and flags say; what is whole stays as it is.

use std::path::{Path, PathBuf};

use crate::support::{ffmpeg, ffprobe, quick, run, variant};
use crate::video::short;

#[tokio::test]
async fn interlaced_video_is_deinterlaced() {
    let folder = tempfile::tempdir().unwrap();
    // Two frames woven into one: combed wherever something moves.
    let filter =
        "fps=50,scale=480:270,crop=320:180:'mod(n*6,150)':0,tinterlace=interleave_top,fieldorder=tff";
    let source = short(folder.path(), "x.ts", filter, "-flags +ilme+ildct -x264opts tff=1");
    assert!(ffprobe(&source, "-select_streams v", "stream=field_order").starts_with("tt"));
    let run = run(&source, &quick()).await;
    run.package();
    let made = run.joined("video/180p");
    assert_eq!(ffprobe(&made, "-select_streams v", "stream=field_order"), "progressive");
    assert!(combing(&source) > 20.0, "the test file is not combed");
    assert!(combing(&made) < 3.0, "combing is left: {}", combing(&made));
}

/// Frames of a file that are combed.
fn combing(path: &Path) -> f64 {
    let text = path.with_extension("idet");
    let filter = format!("-vf idet,metadata=print:file={} -f null", text.display());
    ffmpeg(&["-i", path.to_str().unwrap()], &filter, Path::new("-"));
    let text = std::fs::read_to_string(text).unwrap();
    let key = "lavfi.idet.multiple.tff=";
    text.lines().rev().find_map(|line| line.strip_prefix(key)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn frames_that_are_interlaced_are_deinterlaced_whatever_the_header_says() {
    let folder = tempfile::tempdir().unwrap();
    let woven = "fps=50,scale=480:270,crop=320:180:'mod(n*6,150)':0,tinterlace=interleave_top,fieldorder=tff";
    for name in ["silent.avi", "silent.mp4", "middle.ts"] {
        let source = folder.path().join(name);
        if name == "middle.ts" {
            // The header is read where it begins, and it begins with frames that are whole.
            let first = short(folder.path(), "1.ts", "scale=320:180", "");
            let second = short(
                folder.path(),
                "2.ts",
                woven,
                "-flags +ilme+ildct -x264opts tff=1 -output_ts_offset 1.5",
            );
            let joined = [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat();
            std::fs::write(&source, joined).unwrap();
        } else {
            let args = format!("-t 1.5 -an -vf {woven} -c:v mpeg4 -q:v 2 -flags +ildct+ilme -top 1");
            variant(folder.path(), name, &args);
        }
        let told = ffprobe(&source, "-select_streams v", "stream=field_order");
        assert!(!told.starts_with("tt"), "{name}: the header says so");
        let run = run(&source, &quick()).await;
        run.package();
        let made = combing(&run.joined("video/180p"));
        assert!(combing(&source) > 15.0, "{name}: the test file is not combed");
        assert!(made < 3.0, "{name}: combing is left: {made}");
    }
}

/// A moving test picture that was woven from fields at 50 a second, without any flag. `order`: the field that comes first.
fn unmarked(folder: &Path, name: &str, order: &str, seconds: u32, args: &str) -> PathBuf {
    let to = folder.join(name);
    let video = format!("testsrc=s=320x180:r=50:d={seconds}");
    let weave = format!("-vf scroll=h=0.02,interlace=scan={order},setfield=prog");
    ffmpeg(
        &["-f", "lavfi", "-i", &video],
        &format!("{weave} -c:v libx264 -preset ultrafast -crf 12 {args}"),
        &to,
    );
    to
}

#[tokio::test]
async fn fields_without_any_flag_are_seen_in_the_frames() {
    let folder = tempfile::tempdir().unwrap();
    let moving = folder.path().join("1.ts");
    let whole = ["-f", "lavfi", "-i", "testsrc=s=320x180:r=25:d=2"];
    ffmpeg(&whole, "-vf scroll=h=0.02 -c:v libx264 -preset ultrafast -crf 12", &moving);
    let second = unmarked(folder.path(), "2.ts", "tff", 2, "-output_ts_offset 2");
    let middle = folder.path().join("middle.ts");
    std::fs::write(&middle, [std::fs::read(&moving).unwrap(), std::fs::read(second).unwrap()].concat())
        .unwrap();
    let lies = "-flags +ilme+ildct -x264opts bff=1";
    let header = folder.path().join("lies.mp4");
    let video = ["-f", "lavfi", "-i", "testsrc=s=320x180:r=50:d=2"];
    ffmpeg(
        &video,
        &format!(
            "-vf scroll=h=0.02,interlace=scan=tff,setfield=bff -c:v libx264 -preset ultrafast -crf 12 {lies}"
        ),
        &header,
    );
    // One key frame, and fields only from the middle on.
    let long = folder.path().join("long.mp4");
    let once = "-vf setfield=prog -c:v libx264 -preset ultrafast -crf 12 -g 1000 -sc_threshold 0";
    ffmpeg(&["-i", middle.to_str().unwrap()], once, &long);
    for source in [
        long,
        unmarked(folder.path(), "top.mp4", "tff", 2, ""),
        unmarked(folder.path(), "bottom.mkv", "bff", 2, ""),
        middle,
        header,
    ] {
        let run = run(&source, &quick()).await;
        run.package();
        let made = run.joined("video/180p");
        assert!(combed(&source) > 4.0, "{}: the test file is not combed", source.display());
        assert!(combed(&made) < 0.5, "{}: {} % are left", source.display(), combed(&made));
    }
}

/// Percent of the pixels that differ from both lines beside them, which are alike, on average over the frames.
fn combed(path: &Path) -> f64 {
    let raw = path.with_extension("gray");
    ffmpeg(&["-i", path.to_str().unwrap()], "-vf format=gray -f rawvideo", &raw);
    let bytes = std::fs::read(raw).unwrap();
    let lines: Vec<_> = bytes.chunks_exact(320).collect();
    let mut count = 0_u32;
    for lines in lines.windows(3) {
        let pixels = lines[0].iter().zip(lines[1]).zip(lines[2]);
        let combed =
            pixels.filter(|((a, b), c)| a.abs_diff(**b).min(b.abs_diff(**c)) > 30 && a.abs_diff(**c) < 10);
        count += u32::try_from(combed.count()).unwrap();
    }
    f64::from(count) * 100.0 / f64::from(u32::try_from(bytes.len()).unwrap())
}

#[tokio::test]
async fn fine_lines_of_whole_frames_are_not_taken_for_fields() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "geq=lum='if(mod(Y,2),lum(X,Y),255-lum(X,Y))':cb=128:cr=128";
    for (name, video, filter, least) in [
        ("lines.mp4", "testsrc2=s=320x180:r=25:d=2", lines, 0.8),
        ("crawl.mp4", "testsrc=s=320x180:r=25:d=2", "scroll=v=0.00556", 0.8),
        ("grain.mp4", "color=gray:s=320x180:r=25:d=2", "noise=alls=60:allf=t", 0.0),
        ("moves.mp4", "testsrc2=s=320x180:r=25:d=2", "null", 0.8),
    ] {
        let source = folder.path().join(name);
        let args = format!("-vf {filter} -c:v libx264 -preset ultrafast -crf 4 -pix_fmt yuv420p");
        ffmpeg(&["-f", "lavfi", "-i", video], &args, &source);
        let profile = transcode_config::ladder::Profile { crf: 4, ..quick() };
        let run = run(&source, &profile).await;
        run.package();
        assert!(!run.text("entry/metadata.json").contains("\"combed\""), "{name}");
        let text = folder.path().join("like.txt");
        let filter = format!("-lavfi ssim=stats_file={} -f null", text.display());
        let made = run.joined("video/180p");
        ffmpeg(&["-i", made.to_str().unwrap(), "-i", source.to_str().unwrap()], &filter, Path::new("-"));
        let text = std::fs::read_to_string(text).unwrap();
        let like =
            text.lines().nth(20).and_then(|line| line.split_once(" Y:")?.1.split(' ').next()?.parse().ok());
        assert!(like.is_some_and(|like: f64| like > least), "{name}: {like:?}");
    }
}
