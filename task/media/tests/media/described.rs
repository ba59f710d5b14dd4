//! What only frames or rarely used headers say of a video: orientation and transfer function in SEI messages, edges to
//! cut off, two views in a frame, chapters.

use std::path::{Path, PathBuf};

use crate::support::{Run, ffmpeg, ffprobe, quick, run};

const X264: &str = "-c:v libx264 -preset ultrafast -crf 5 -pix_fmt yuv420p";

/// A second of 320x180: the left half red and the right half blue, or what `source` says.
fn halves(folder: &Path, name: &str, args: &str) -> PathBuf {
    let path = folder.join(name);
    let source = "color=red:s=160x180:r=25:d=1[l];color=blue:s=160x180:r=25:d=1[r];[l][r]hstack";
    ffmpeg(&["-f", "lavfi", "-i", source], args, &path);
    path
}

/// The colour in the middle of the upper, lower, left and right quarter of the highest rung, by its letter.
fn quarters(run: &Run) -> String {
    let name = &run.package().summary.video.last().unwrap().name;
    let raw = run.folder.path().join("quarters.rgb");
    let made = run.joined(&format!("video/{name}"));
    ffmpeg(
        &["-i", made.to_str().unwrap()],
        "-vf scale=4:4:flags=area,format=rgb24 -frames:v 1 -f rawvideo",
        &raw,
    );
    let pixels = std::fs::read(raw).unwrap();
    let letter = |at: usize| if pixels[at * 3] > pixels[at * 3 + 2] { 'r' } else { 'b' };
    [1, 13, 4, 7].map(letter).into_iter().collect()
}

fn warned(run: &Run, word: &str) -> bool {
    run.package().summary.warnings.iter().any(|line| line.starts_with(&format!("{word}: ")))
}

#[tokio::test]
async fn an_orientation_in_the_video_stream_is_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let plain = halves(folder.path(), "plain.mp4", X264);
    for (name, orientation, size, wanted) in [
        ("x.ts", "rotate=90", (180, 320), "brrr"),
        ("x.mp4", "rotate=180", (320, 180), "bbbr"),
        ("x.mkv", "rotate=0:flip=horizontal", (320, 180), "bbbr"),
    ] {
        let source = folder.path().join(name);
        let args = format!("-c copy -bsf:v h264_metadata=display_orientation=insert:{orientation}");
        ffmpeg(&["-i", plain.to_str().unwrap()], &args, &source);
        let run = run(&source, &quick()).await;
        let rung = run.package().summary.video.last().unwrap();
        assert_eq!((rung.width, rung.height), size, "{orientation}");
        let seen = quarters(&run);
        let (ends, sides) = (seen[..2] == wanted[..2], seen[2..] == wanted[2..]);
        // A quarter turn brings the halves above one another.
        assert!(if size.0 < size.1 { ends } else { sides }, "{orientation}: {seen} is not {wanted}");
    }
}

#[tokio::test]
async fn hlg_that_only_an_sei_message_names_is_high_dynamic_range() {
    let folder = tempfile::tempdir().unwrap();
    for (sei, tone_mapped) in [("", false), (":atc-sei=18", true)] {
        let path = folder.path().join("x.mp4");
        let source = "color=0x808080:s=320x180:r=25:d=1,format=yuv420p10le";
        let args = format!(
            "-c:v libx265 -preset ultrafast -color_trc bt2020-10 -color_primaries bt2020 -colorspace bt2020nc \
             -x265-params log-level=error{sei}"
        );
        ffmpeg(&["-f", "lavfi", "-i", source], &args, &path);
        let run = run(&path, &quick()).await;
        let transfer = run.text("entry/metadata.json").contains("arib-std-b67");
        assert_eq!(transfer, tone_mapped, "{sei}");
        let track = run.joined("video/180p");
        let raw = folder.path().join("x.gray");
        ffmpeg(
            &["-i", track.to_str().unwrap()],
            "-frames:v 1 -vf scale=1:1:flags=area,format=gray -f rawvideo",
            &raw,
        );
        let gray = std::fs::read(raw).unwrap()[0];
        assert_eq!(gray.abs_diff(126) > 8, tone_mapped, "{sei}: {gray}");
    }
}

/// Puts a crop of 40 pixels on each side and 20 above and below in the place of the colour tags of a Matroska file.
fn crop(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(2).position(|pair| pair == [0x55, 0xb0]).unwrap();
    let (length, size) = match bytes[at + 2] {
        1 => (
            u64::from_be_bytes([
                0,
                bytes[at + 3],
                bytes[at + 4],
                bytes[at + 5],
                bytes[at + 6],
                bytes[at + 7],
                bytes[at + 8],
                bytes[at + 9],
            ]),
            8,
        ),
        short => (u64::from(short & 0x7f), 1),
    };
    let all = 2 + size + usize::try_from(length).unwrap();
    let mut crop =
        vec![0x54, 0xcc, 0x81, 40, 0x54, 0xdd, 0x81, 40, 0x54, 0xbb, 0x81, 20, 0x54, 0xaa, 0x81, 20];
    let rest = all - crop.len();
    assert!((2..120).contains(&rest), "{all}");
    crop.extend([0xec, 0x80 | u8::try_from(rest - 2).unwrap()]);
    crop.resize(all, 0);
    bytes[at..at + all].copy_from_slice(&crop);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn edges_that_a_matroska_file_cuts_off_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mkv");
    let source = "color=red:s=240x140:r=25:d=1,pad=320:180:40:20:blue";
    let tags = "-colorspace bt709 -color_trc bt709 -color_primaries bt709 -color_range tv";
    ffmpeg(&["-f", "lavfi", "-i", source], &format!("{X264} {tags}"), &path);
    crop(&path);
    let run = run(&path, &quick()).await;
    let rung = run.package().summary.video.last().unwrap();
    assert_eq!((rung.width, rung.height), (240, 140));
    assert_eq!(quarters(&run), "rrrr");
    assert!(warned(&run, "cropped"), "{:?}", run.package().summary.warnings);
}

#[tokio::test]
async fn two_views_in_a_frame_and_chapters_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let plain = halves(folder.path(), "plain.mp4", &format!("{X264} -metadata:s:v stereo_mode=left_right"));
    let text = folder.path().join("chapters.txt");
    let chapter =
        |from, to, title| format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}\n");
    let chapters = format!(";FFMETADATA1\n{}{}", chapter(0, 400, "One"), chapter(400, 1000, "Two"));
    std::fs::write(&text, chapters).unwrap();
    let source = folder.path().join("x.mkv");
    let inputs = ["-i", plain.to_str().unwrap(), "-i", text.to_str().unwrap()];
    ffmpeg(&inputs, "-map 0 -map_metadata 1 -c copy -metadata:s:v stereo_mode=left_right", &source);
    let run = run(&source, &quick()).await;
    assert!(warned(&run, "stereo_3d"), "{:?}", run.package().summary.warnings);
    assert!(warned(&run, "chapters"), "{:?}", run.package().summary.warnings);
    let metadata: serde_json::Value = serde_json::from_str(&run.text("entry/metadata.json")).unwrap();
    assert_eq!(metadata["result"]["warnings"], serde_json::json!(run.package().summary.warnings));
    assert!(metadata["ffmpeg"].as_str().unwrap().contains('.'), "{}", metadata["ffmpeg"]);
    let chapters = &metadata["source"]["chapters"];
    assert_eq!((&chapters[1]["title"], &chapters[1]["start"]), (&"Two".into(), &0.4.into()), "{chapters}");
}

#[tokio::test]
async fn slow_motion_by_an_edit_list_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = halves(folder.path(), "x.mov", X264);
    let mut bytes = std::fs::read(&source).unwrap();
    // Behind the version, the count, and the two times of the only edit: from 1 to a half.
    let at = bytes.windows(4).position(|name| name == b"elst").unwrap() + 4 + 8 + 8;
    assert_eq!(bytes[at..at + 4], [0, 1, 0, 0]);
    bytes[at..at + 4].copy_from_slice(&[0, 0, 0x80, 0]);
    std::fs::write(&source, bytes).unwrap();
    let run = run(&source, &quick()).await;
    assert!(warned(&run, "speed") && run.package().duration_ms == 1000, "{:?}", run.package().summary);
}

#[tokio::test]
async fn static_metadata_of_hdr10_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp4");
    let display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)";
    let source = "testsrc2=s=320x180:r=25:d=1,format=yuv420p10le";
    let args = format!(
        "-c:v libx265 -preset ultrafast -color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc \
         -x265-params log-level=error:master-display={display}:max-cll=1000,400"
    );
    ffmpeg(&["-f", "lavfi", "-i", source], &args, &path);
    let mut profile = quick();
    let mut rung = profile.rungs.pop().unwrap();
    rung.codec_profile = "main10".into();
    profile.hdr = Some(transcode_config::ladder::HdrSettings {
        crf: 30,
        preset: "ultrafast".into(),
        rungs: vec![rung],
    });
    let run = run(&path, &profile).await;
    run.package();
    let told = |path: &Path| ffprobe(path, "-select_streams v -read_intervals %+#1", "frame_side_data");
    let made = told(&run.joined("video/hdr-180p"));
    assert!(
        made.contains("34000/50000") && made.contains("10000000/10000") && made.contains("1000,400"),
        "{made}"
    );
}

#[tokio::test]
async fn damage_that_only_the_decoder_sees_is_counted_and_the_version_is_named_in_failures() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    let noise = "color=red:s=320x180:r=25:d=1,noise=alls=20:allf=t";
    ffmpeg(&["-f", "lavfi", "-i", noise], &format!("{X264} -bsf:v noise=amount=1000"), &source);
    let run = run(&source, &quick()).await;
    assert!(warned(&run, "damaged"), "{:?}", run.package().summary.warnings);
    std::fs::write(&source, b"no media").unwrap();
    let failure = crate::support::run(&source, &quick()).await.result.unwrap_err();
    assert!(failure.evidence["ffmpeg"].contains('.'), "{failure:?}");
}

#[tokio::test]
async fn tracks_without_a_language_have_the_one_of_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let (source, text) = (folder.path().join("x.mkv"), folder.path().join("x.srt"));
    std::fs::write(&text, "1\n00:00:00,100 --> 00:00:00,900\nword\n").unwrap();
    let inputs = [
        &["-f", "lavfi", "-i", "color=red:s=64x36:d=1", "-f", "lavfi", "-i", "sine=440:d=1"][..],
        &["-f", "lavfi", "-i", "sine=880:d=1", "-i", text.to_str().unwrap()],
    ]
    .concat();
    let args = "-map 0 -map 1 -map 2 -map 3 -map 3 -c:v libx264 -c:a aac -metadata:s:a:1 language=fre \
                -metadata:s:s:1 language=fre";
    ffmpeg(&inputs, args, &source);
    let mut profile = quick();
    profile.audio.default_language = Some("pt-BR".into());
    profile.check().unwrap();
    let run = run(&source, &profile).await;
    let languages: Vec<_> = run.package().summary.audio.iter().map(|audio| audio.language.clone()).collect();
    assert_eq!(languages, [Some("pt-BR".into()), Some("fr".into())]);
    // One of the audio and one of the text, in each.
    let (master, manifest) = (run.text("entry/master.m3u8"), run.text("entry/manifest.mpd"));
    for language in ["pt-BR", "fr"] {
        assert_eq!(master.matches(&format!("LANGUAGE=\"{language}\"")).count(), 2, "{master}");
        assert_eq!(manifest.matches(&format!("lang=\"{language}\"")).count(), 2, "{manifest}");
    }
    profile.audio.default_language = Some("portuguese\"".into());
    profile.check().unwrap_err();
}
