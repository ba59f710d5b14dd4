//! Video of every kind: what a viewer sees of them.

use std::path::{Path, PathBuf};

use transcode_config::ladder::{HdrSettings, Profile, Rung, VideoCodec};

use crate::edit::{counted, counts, one_rung};
use crate::support::{Run, ffmpeg, ffprobe, quick, run, variant};

/// A second and a half of the clip, small, without audio, with `filter` and `args`.
pub(crate) fn short(folder: &Path, name: &str, filter: &str, args: &str) -> PathBuf {
    variant(folder, name, &format!("-t 1.5 -an -vf {filter} -c:v libx264 -preset ultrafast {args}"))
}

pub(crate) fn frames(run: &Run, track: &str) -> Vec<f64> {
    let times = ffprobe(&run.joined(track), "-select_streams v", "frame=pts_time");
    times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

fn size(run: &Run, track: &str) -> String {
    ffprobe(&run.joined(track), "-select_streams v", "stream=width,height,sample_aspect_ratio")
}

/// The mean red, green and blue of the four quarters, of the frame in the middle of a file.
fn quarters(path: &Path) -> Vec<u8> {
    let raw = path.with_extension("rgb");
    let filter = "-vf scale=2:2:flags=area+accurate_rnd+full_chroma_inp+full_chroma_int,format=rgb24 -frames:v 1 -f rawvideo";
    ffmpeg(&["-ss", "0.5", "-i", path.to_str().unwrap()], filter, &raw);
    std::fs::read(raw).unwrap()
}

fn assert_alike(a: &[u8], b: &[u8], tolerance: u8, what: &str) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= tolerance), "{what}: {a:?} is not {b:?}");
}

#[tokio::test]
async fn constant_frame_rates_are_kept_and_fast_ones_halved() {
    let folder = tempfile::tempdir().unwrap();
    for (rate, low, high) in [
        ("24000/1001", "24000/1001", "24000/1001"),
        ("30000/1001", "30000/1001", "30000/1001"),
        ("60000/1001", "30000/1001", "60000/1001"),
        ("50", "25/1", "50/1"),
        ("120", "30/1", "60/1"),
        ("1", "1/1", "1/1"),
    ] {
        let source = short(folder.path(), "x.mp4", &format!("scale=320:180,fps={rate}"), "");
        let run = run(&source, &quick()).await;
        run.package();
        for (track, expected) in [("video/90p", low), ("video/180p", high)] {
            let rates = ffprobe(&run.joined(track), "-select_streams v", "stream=r_frame_rate");
            assert_eq!(rates, expected, "{rate} {track}");
        }
    }
}

#[tokio::test]
async fn variable_frame_rate_becomes_constant_without_drift() {
    let folder = tempfile::tempdir().unwrap();
    // 30 a second, with every frame between 0.5 and 1 s missing but one.
    let all = counted(folder.path(), "all.mkv", "30", 2);
    let source = folder.path().join("x.mkv");
    let args =
        "-an -vf select='not(between(n,15,29))+eq(n,20)' -fps_mode vfr -c:v libx264 -preset ultrafast -crf 5";
    ffmpeg(&["-i", all.to_str().unwrap()], args, &source);
    let run = run(&source, &one_rung()).await;
    assert!((run.package().summary.seconds - 2.0).abs() < 0.034, "{}", run.package().summary.seconds);
    let times = frames(&run, "video/180p");
    assert!(times.windows(2).all(|pair| (pair[1] - pair[0] - 1.0 / 30.0).abs() < 0.001), "{times:?}");
    let wanted: Vec<u8> = (0..60)
        .map(|frame| match frame {
            15..20 => 14,
            20..30 => 20,
            other => other % 50,
        })
        .collect();
    assert_eq!(counts(&run), wanted);
}

/// Writes a display matrix into the first track of an MP4: a and b of the first row, c and d of the second.
pub(crate) fn turn(path: &Path, matrix: [i32; 4]) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(4).position(|window| window == b"tkhd").unwrap() + 4 + 40;
    let [a, b, c, d] = matrix.map(|number| number << 16);
    for (place, number) in [(0, a), (1, b), (3, c), (4, d)] {
        bytes[at + 4 * place..at + 4 * place + 4].copy_from_slice(&number.to_be_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn turned_and_flipped_phone_videos_are_shown_upright() {
    let folder = tempfile::tempdir().unwrap();
    let source = short(folder.path(), "x.mp4", "scale=320:180", "-crf 10");
    let upright = quarters(&source);
    for (matrix, expected) in [
        ([0, 1, -1, 0], "180,320,1:1"),
        ([-1, 0, 0, -1], "320,180,1:1"),
        ([0, -1, 1, 0], "180,320,1:1"),
        ([-1, 0, 0, 1], "320,180,1:1"),
        ([1, 0, 0, -1], "320,180,1:1"),
        ([0, 1, 1, 0], "180,320,1:1"),
        ([0, -1, -1, 0], "180,320,1:1"),
    ] {
        turn(&source, matrix);
        // ffmpeg turns by itself here: what it shows is what a player shows.
        let wanted = quarters(&source);
        assert_ne!(wanted, upright, "the test file is not turned");
        let run = run(&source, &quick()).await;
        run.package();
        assert_eq!(size(&run, "video/180p"), expected, "{matrix:?}");
        assert_alike(&quarters(&run.joined("video/180p")), &wanted, 8, &format!("{matrix:?}"));
    }
}

#[tokio::test]
async fn portrait_gets_the_same_rungs_by_its_short_side() {
    let folder = tempfile::tempdir().unwrap();
    let source = short(folder.path(), "x.mp4", "scale=320:180,transpose=clock", "");
    let run = run(&source, &quick()).await;
    run.package();
    assert_eq!(size(&run, "video/180p"), "180,320,1:1");
    assert_eq!(size(&run, "video/90p"), "90,160,1:1");
}

#[tokio::test]
async fn anamorphic_and_odd_sizes_come_out_square_and_even() {
    let folder = tempfile::tempdir().unwrap();
    let wide = short(folder.path(), "wide.mp4", "scale=180:144,setsar=64/45", "");
    let wide = run(&wide, &quick()).await;
    wide.package();
    assert_eq!(size(&wide, "video/144p"), "256,144,1:1");
    let odd = short(folder.path(), "odd.mkv", "scale=321:181,format=yuv444p", "");
    let odd = run(&odd, &quick()).await;
    odd.package();
    assert_eq!(odd.package().summary.video.last().unwrap().width, 320);
}

#[tokio::test]
async fn a_tiny_source_gets_one_rung_of_its_own_size() {
    let folder = tempfile::tempdir().unwrap();
    let source = short(folder.path(), "x.mp4", "scale=64:36", "");
    let run = run(&source, &quick()).await;
    let video = &run.package().summary.video;
    assert_eq!(video.len(), 1);
    assert_eq!((video[0].width, video[0].height), (64, 36));
}

#[tokio::test]
async fn a_source_smaller_than_its_encoder_takes_is_made_just_large_enough() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, preset, from, to) in
        [(VideoCodec::Av1, "12", "48:32", (96, 64)), (VideoCodec::H264, "ultrafast", "24:8", (48, 16))]
    {
        let source = short(folder.path(), "x.mkv", &format!("scale={from},setsar=1"), "");
        let run = run(&source, &Profile { codec, preset: preset.into(), ..quick() }).await;
        let video = &run.package().summary.video;
        assert_eq!((video[0].width, video[0].height), to, "{codec:?}");
        assert_eq!(frames(&run, &format!("video/{}", video[0].name)).len(), 38, "{codec:?}");
    }
}

#[tokio::test]
async fn deep_and_fine_colour_becomes_8_bit_420_with_the_same_colours() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format, codec) in [
        ("10.mkv", "yuv420p10le", "-c:v libx264 -preset ultrafast"),
        ("422.mkv", "yuv422p", "-c:v libx264 -preset ultrafast"),
        ("444.mkv", "yuv444p", "-c:v libx264 -preset ultrafast"),
        ("rgb.mkv", "gbrp", "-c:v ffv1"),
        ("pc.mkv", "yuvj420p", "-c:v mjpeg -q:v 2"),
    ] {
        let filter = format!("-t 1 -an -vf scale=320:180,format={format} {codec}");
        let source = variant(folder.path(), name, &filter);
        let run = run(&source, &quick()).await;
        run.package();
        let made = run.joined("video/180p");
        let tags = ffprobe(&made, "-select_streams v", "stream=pix_fmt,color_range,color_space");
        assert_eq!(tags, "yuv420p,tv,bt709", "{name}");
        assert_alike(&quarters(&made), &quarters(&source), 6, name);
    }
}

#[tokio::test]
async fn colours_stay_by_whatever_matrix_they_were_made() {
    let folder = tempfile::tempdir().unwrap();
    // Four strong colours. What is not tagged is taken as players take it: small frames by BT.601.
    let colours = "color=black:s=320x180:r=25:d=1,format=gbrp,geq=r='if(lt(X,160),200,30)':\
                   g='if(lt(Y,90),180,40)':b='if(lt(X,160),40,200)'";
    let wanted = [200, 180, 40, 30, 180, 200, 200, 40, 40, 30, 40, 200];
    for (matrix, tags) in [
        ("bt709", "-colorspace bt709"),
        ("smpte170m", "-colorspace smpte170m"),
        ("bt2020", "-colorspace bt2020nc"),
        ("smpte170m", ""),
    ] {
        let source = folder.path().join("x.mkv");
        let graph = format!("{colours},scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p");
        let args = format!("-c:v libx264 -preset ultrafast -crf 5 {tags}");
        ffmpeg(&["-f", "lavfi", "-i", &graph], &args, &source);
        let run = run(&source, &quick()).await;
        run.package();
        assert_alike(&quarters(&run.joined("video/180p")), &wanted, 8, &format!("{matrix} {tags}"));
    }
}

#[tokio::test]
async fn high_dynamic_range_is_brought_back_to_what_it_was_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let original =
        short(folder.path(), "sdr.mp4", "scale=320:180:out_color_matrix=bt709", "-colorspace bt709 -crf 10");
    let wanted = quarters(&original);
    for transfer in ["smpte2084", "arib-std-b67"] {
        let to = format!(
            "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709,zscale=w=320:h=180:t=linear:npl=203,\
             format=gbrpf32le,\
             zscale=p=2020:t={transfer}:m=2020_ncl:r=limited:npl=203,format=yuv420p10le"
        );
        let tags = format!(
            "-crf 10 -color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv"
        );
        let source = short(folder.path(), "hdr.mkv", &to, &tags);
        let run = run(&source, &quick()).await;
        run.package();
        let made = run.joined("video/180p");
        let tags =
            ffprobe(&made, "-select_streams v", "stream=pix_fmt,color_space,color_transfer,color_primaries");
        assert_eq!(tags, "yuv420p,bt709,bt709,bt709");
        assert_alike(&quarters(&made), &wanted, 14, transfer);
        // Taken as it is, it is far off: otherwise the test above would mean nothing.
        let ignored = folder.path().join("ignored.mkv");
        let untagged = "-vf setparams=color_trc=bt709:colorspace=bt709 -c:v ffv1";
        ffmpeg(&["-i", source.to_str().unwrap()], untagged, &ignored);
        let off = quarters(&ignored).iter().zip(&wanted).any(|(a, b)| a.abs_diff(*b) > 25);
        assert!(off, "{transfer}: the test file is not of high dynamic range");
    }
}

/// A second and a half of high dynamic range at 320x180.
pub(crate) fn high_range(folder: &Path, transfer: &str) -> PathBuf {
    let to = format!(
        "scale=320:180:out_color_matrix=bt709,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709,\
         zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=2020:t={transfer}:m=2020_ncl:r=limited:npl=203,\
         format=yuv420p10le"
    );
    let tags =
        format!("-crf 10 -color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv");
    short(folder, "hdr.mkv", &to, &tags)
}

/// One rung of high dynamic range beside the quick ladder.
pub(crate) fn with_high_range() -> Profile {
    let rung = Rung { codec_profile: "main10".into(), ..quick().rungs.remove(1) };
    let hdr = HdrSettings { crf: 18, preset: "ultrafast".into(), rungs: vec![rung] };
    Profile { hdr: Some(hdr), ..quick() }
}

#[tokio::test]
async fn high_dynamic_range_is_kept_beside_the_ladder_where_the_profile_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    for (transfer, range, number) in [("smpte2084", "PQ", "16"), ("arib-std-b67", "HLG", "18")] {
        let source = high_range(folder.path(), transfer);
        let run = run(&source, &with_high_range()).await;
        run.package();
        let made = run.joined("video/hdr-180p");
        let entries =
            "stream=codec_name,profile,codec_tag_string,pix_fmt,color_space,color_transfer,color_primaries";
        let tags = ffprobe(&made, "-select_streams v", entries);
        assert_eq!(tags, format!("hevc,Main 10,hvc1,yuv420p10le,bt2020nc,{transfer},bt2020"));
        assert_alike(&quarters(&made), &quarters(&source), 6, transfer);
        let standard = ffprobe(&run.joined("video/180p"), "-select_streams v", "stream=color_transfer");
        assert_eq!(standard, "bt709");
        let master = run.text("entry/master.m3u8");
        let found = |text: &str| master.lines().filter(|line| line.contains(text)).count();
        assert_eq!(found(&format!("VIDEO-RANGE={range}")), 2, "{master}");
        assert_eq!(found("VIDEO-RANGE=SDR"), 4, "{master}");
        assert_eq!(found("CODECS=\"hvc1.2.4."), 2, "{master}");
        let manifest = run.text("entry/manifest.mpd");
        let property = format!("cicp:TransferCharacteristics\" value=\"{number}\"/>");
        assert_eq!(manifest.matches(&property).count(), 1, "{manifest}");
    }
    let standard = short(folder.path(), "sdr.mp4", "scale=320:180", "");
    let run = run(&standard, &with_high_range()).await;
    assert_eq!(run.package().summary.video.len(), 2, "a source of standard range has no other");
}

#[tokio::test]
async fn a_cover_image_is_not_the_video() {
    let folder = tempfile::tempdir().unwrap();
    let cover = variant(folder.path(), "cover.jpg", "-frames:v 1 -s 64x64 -update 1 -f image2");
    let song = folder.path().join("song.m4a");
    let clip = crate::support::clip();
    let inputs = ["-i", clip.to_str().unwrap(), "-i", cover.to_str().unwrap()];
    ffmpeg(&inputs, "-map 0:a -map 1:v -t 2 -c copy -disposition:v attached_pic", &song);
    let run = run(&song, &quick()).await;
    let package = run.package();
    assert!(package.summary.video.is_empty());
    assert_eq!(package.summary.audio.len(), 1);
    assert!(package.summary.warnings[0].contains("still image"), "{:?}", package.summary.warnings);
}

#[tokio::test]
async fn one_frame_is_a_video_of_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-frames:v 1 -an -s 320x180 -c:v libx264");
    let run = run(&source, &quick()).await;
    run.package();
    assert_eq!(frames(&run, "video/180p").len(), 1);
}

#[tokio::test]
async fn a_change_of_size_in_the_middle_keeps_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let first = short(folder.path(), "1.ts", "scale=320:180", "");
    let second = short(folder.path(), "2.ts", "scale=256:144", "");
    let both = folder.path().join("both.ts");
    let joined = [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat();
    std::fs::write(&both, joined).unwrap();
    let fixed = folder.path().join("fixed.mkv");
    ffmpeg(&["-i", both.to_str().unwrap()], "-c copy", &fixed);
    let run = run(&fixed, &quick()).await;
    assert_eq!(size(&run, "video/180p"), "320,180,1:1");
    assert!(run.package().summary.seconds > 2.9, "{}", run.package().summary.seconds);
}

#[tokio::test]
async fn the_shape_of_most_of_a_broadcast_counts_and_not_that_of_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, seconds: u32, shape: &str, offset: u32| {
        let to = folder.path().join(name);
        let source = format!("testsrc2=s=360x288:r=25:d={seconds}");
        let args = format!("-c:v mpeg2video -q:v 4 -g 12 -aspect {shape} -output_ts_offset {offset}");
        ffmpeg(&["-f", "lavfi", "-i", &source], &args, &to);
        std::fs::read(to).unwrap()
    };
    let both = folder.path().join("both.ts");
    std::fs::write(&both, [part("1.ts", 1, "4:3", 0), part("2.ts", 4, "16:9", 1)].concat()).unwrap();
    let run = run(&both, &quick()).await;
    assert_eq!(size(&run, "video/180p"), "320,180,1:1");
    let warnings = &run.package().summary.warnings;
    let told = |line: &String| line.starts_with("shape_changes: ") && line.contains("1.78 to 1 in");
    assert!(warnings.iter().any(told), "{warnings:?}");
}
