//! Colours that players would get wrong: what a viewer sees is what the source's tags say.

use std::path::{Path, PathBuf};

use crate::support::{Run, ffmpeg, ffprobe, quick, run};

/// A second of `colour` in 320x180 (or another size) after `filter`, encoded by `args`.
fn plain(folder: &Path, name: &str, (colour, size, filter): (&str, &str, &str), args: &str) -> PathBuf {
    let path = folder.join(name);
    let source = format!("color={colour}:s={size}:r=25:d=1,format=rgb24,{filter}");
    ffmpeg(&["-f", "lavfi", "-i", &source], args, &path);
    path
}

/// Red, green and blue in the middle of both halves of the highest rung, read by the matrix of BT.709, and its tags.
fn seen(run: &Run) -> (Vec<u8>, String) {
    let name = &run.package().summary.video.last().unwrap().name;
    let made = run.joined(&format!("video/{name}"));
    let raw = run.folder.path().join("seen.rgb");
    let halves = "-vf scale=320:180:flags=accurate_rnd+full_chroma_inp+full_chroma_int:in_color_matrix=bt709,\
                  format=rgb24,crop=192:1:64:90,scale=2:1:flags=neighbor -frames:v 1 -f rawvideo";
    ffmpeg(&["-ss", "0.5", "-i", made.to_str().unwrap()], halves, &raw);
    let tags = ffprobe(&made, "-select_streams v", "stream=color_space,color_transfer,color_primaries");
    (std::fs::read(raw).unwrap(), tags)
}

fn assert_seen(run: &Run, wanted: [u8; 6], tags: &str, what: &str) {
    let (seen, told) = seen(run);
    let near = seen.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 10);
    assert!(near && told == tags, "{what}: {seen:?} is not {wanted:?}, or {told} not {tags}");
}

const X264: &str = "-c:v libx264 -preset ultrafast -crf 5";

#[tokio::test]
async fn primaries_that_players_do_not_convert_are_brought_to_bt709() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "scale=out_color_matrix=bt709,format=yuv420p";
    for (primaries, colour, wanted) in [
        // Beyond BT.709: the nearest that it has.
        ("smpte432", "0xff2020", [255, 0, 21]),
        ("smpte432", "0x808080", [128, 128, 128]),
        ("smpte432", "0x80a060", [117, 161, 92]),
        ("bt2020", "0x80a060", [107, 164, 86]),
        // Near enough; the tag is passed on.
        ("smpte170m", "0x80a060", [128, 160, 96]),
        ("bt709", "0x80a060", [128, 160, 96]),
    ] {
        let tags = format!("{X264} -colorspace bt709 -color_trc bt709 -color_primaries {primaries}");
        let source = plain(folder.path(), "x.mp4", (colour, "320x180", filter), &tags);
        let run = run(&source, &quick()).await;
        let told = if primaries == "smpte170m" { "bt709,bt709,smpte170m" } else { "bt709,bt709,bt709" };
        assert_seen(
            &run,
            [wanted, wanted].concat().try_into().unwrap(),
            told,
            &format!("{primaries} {colour}"),
        );
    }
}

#[tokio::test]
async fn transfer_functions_of_standard_range_keep_their_values_and_their_tag() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "scale=out_color_matrix=bt709,format=yuv420p";
    for (name, transfer) in [("iec61966-2-1", "iec61966-2-1"), ("gamma28", "bt470bg")] {
        let tags = format!("{X264} -colorspace bt709 -color_trc {name} -color_primaries bt709");
        let source = plain(folder.path(), "x.mp4", ("0x406080", "320x180", filter), &tags);
        let run = run(&source, &quick()).await;
        let told = format!("bt709,{transfer},bt709");
        assert_seen(&run, [64, 96, 128, 64, 96, 128], &told, transfer);
        assert!(run.text("entry/master.m3u8").contains("VIDEO-RANGE=SDR"));
    }
}

#[tokio::test]
async fn vp8_is_bt601_at_every_size() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "scale=out_color_matrix=smpte170m,format=yuv420p";
    for (name, args) in [
        ("x.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M"),
        ("x.ogv", "-c:v libtheora -q:v 8"),
        ("x.flv", "-c:v flv1 -q:v 2"),
    ] {
        let source = plain(folder.path(), name, ("0x20c040", "1280x720", filter), args);
        let run = run(&source, &quick()).await;
        assert_seen(&run, [32, 192, 64, 32, 192, 64], "bt709,bt709,bt709", name);
    }
}

#[tokio::test]
async fn matrices_that_players_do_not_know_are_converted_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "zscale=matrix=8:range=limited,format=yuv444p";
    let args = format!("{X264} -colorspace ycgco -color_primaries bt709 -color_trc bt709");
    let source = plain(folder.path(), "x.mkv", ("0x20c040", "320x180", filter), &args);
    let run = run(&source, &quick()).await;
    assert_seen(&run, [32, 192, 64, 32, 192, 64], "bt709,bt709,bt709", "YCgCo");

    let filter = "scale=out_color_matrix=bt709,format=yuv420p";
    let args = format!("{X264} -colorspace chroma-derived-nc -color_primaries bt709 -color_trc bt709");
    let source = plain(folder.path(), "y.mkv", ("0x20c040", "320x180", filter), &args);
    let run = crate::support::run(&source, &quick()).await;
    let warnings = &run.package().summary.warnings;
    assert!(warnings.iter().any(|line| line.starts_with("colours: ")), "{warnings:?}");
}

#[tokio::test]
async fn what_is_transparent_is_black_and_a_warning_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format, args) in [
        ("x.mov", "yuva444p10le", "-c:v prores_ks -profile:v 4444"),
        ("png.mov", "rgba", "-c:v png"),
        ("ffv1.mkv", "bgra", "-c:v ffv1"),
    ] {
        let filter = format!(
            "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,160),0,255)',\
             scale=out_color_matrix=smpte170m,format={format}"
        );
        let source = plain(folder.path(), name, ("0x20c040", "320x180", &filter), args);
        let run = run(&source, &quick()).await;
        assert_seen(&run, [0, 0, 0, 32, 192, 64], "bt709,bt709,bt709", name);
        let warnings = &run.package().summary.warnings;
        assert!(warnings.iter().any(|line| line.starts_with("alpha: ")), "{warnings:?}");
    }
}

#[tokio::test]
async fn transparency_beside_the_frames_of_vp9_leaves_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "format=yuva420p,geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='if(lt(X,160),0,255)'";
    let args = "-c:v libvpx-vp9 -pix_fmt yuva420p -deadline realtime -cpu-used 8";
    let source = plain(folder.path(), "x.webm", ("0x20c040", "320x180", filter), args);
    let run = run(&source, &quick()).await;
    let warnings = &run.package().summary.warnings;
    assert!(warnings.iter().any(|line| line.starts_with("alpha: ")), "{warnings:?}");
}

#[tokio::test]
async fn saturated_colours_of_high_dynamic_range_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for (made_in, stored_in, transfer, matrix, colour, wanted) in [
        // Display P3 in PQ and HLG: cinema masters, phones.
        ("bt709", "smpte432", "smpte2084", "2020_ncl", "0x80a060", [128, 160, 96]),
        ("bt709", "smpte432", "arib-std-b67", "2020_ncl", "0x80a060", [128, 160, 96]),
        ("bt709", "bt2020", "smpte2084", "2020_ncl", "0xb03040", [176, 48, 64]),
        ("bt709", "bt2020", "smpte2084", "ictcp", "0x80a060", [128, 160, 96]),
        ("bt709", "bt2020", "arib-std-b67", "ictcp", "0xb03040", [176, 48, 64]),
        // Beyond BT.709: of the same hue, a little darker than the nearest that it has (the curve of the tone map).
        ("bt2020", "bt2020", "smpte2084", "2020_ncl", "0xc00000", [209, 0, 0]),
        ("bt2020", "bt2020", "smpte2084", "2020_ncl", "0x00c000", [0, 186, 0]),
    ] {
        let filter = format!(
            "scale=out_color_matrix=bt709,format=yuv444p12le,setparams=colorspace=bt709:color_primaries={made_in}:\
             color_trc=bt709:range=tv,zscale=t=linear:npl=203,format=gbrpf32le,\
             zscale=p={stored_in}:t={transfer}:m={matrix}:r=limited:npl=203,format=yuv420p10le"
        );
        let told = if matrix == "ictcp" { "ictcp" } else { "bt2020nc" };
        let tags = format!(
            "-c:v libx264 -preset ultrafast -crf 5 -color_primaries {stored_in} -color_trc {transfer} \
             -colorspace {told} -color_range tv"
        );
        let source = plain(folder.path(), "x.mkv", (colour, "320x180", &filter), &tags);
        let run = run(&source, &quick()).await;
        let (seen, told) = seen(&run);
        let near = seen.iter().zip([wanted, wanted].concat()).all(|(a, b)| a.abs_diff(b) <= 4);
        assert!(
            near && told == "bt709,bt709,bt709",
            "{stored_in} {transfer} {matrix} {colour}: {seen:?} is not {wanted:?}"
        );
    }
}
