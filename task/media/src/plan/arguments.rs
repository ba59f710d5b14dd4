//! The argument list of an encoding run of ffmpeg.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use transcode_config::ladder::VideoCodec;

use super::{audio::AudioPlan, filters, ladder::Rendition, types::Plan, video::VideoPlan};
use crate::{
    examine::range::Range,
    process::{input_flags, local, overlay_flags},
};

/// File that ffmpeg writes rung `number` to, in its output folder.
pub fn video_file(number: usize) -> String {
    format!("v{number}.mp4")
}

/// File that ffmpeg writes audio rendition `number` to, in its output folder.
pub fn audio_file(number: usize) -> String {
    format!("a{number}.mp4")
}

/// The arguments: one input, decoded once; one fragmented MP4 for each rendition, a fragment for each group of
/// pictures and for each frame of audio. Outputs go to the working directory.
pub fn arguments(plan: &Plan, input: &Path) -> Vec<OsString> {
    let mut args = head(plan, input, None);
    if let Some(video) = &plan.video {
        for (number, rendition) in video.renditions.iter().enumerate() {
            rung(&mut args, video, number, rendition, Cap::Rung);
        }
    }
    for (number, audio) in plan.audio.iter().enumerate() {
        audio_output(&mut args, number, audio);
    }
    args.0
}

/// The arguments for a sample of the video that begins `at` seconds after the result does: every rung at its quality,
/// without a cap on its rate.
pub fn sample_arguments(plan: &Plan, input: &Path, at: f64) -> Vec<OsString> {
    let mut args = head(plan, input, Some(at));
    if let Some(video) = &plan.video {
        for (number, rendition) in video.renditions.iter().enumerate() {
            rung(&mut args, video, number, rendition, Cap::None);
        }
    }
    args.0
}

/// Everything before the outputs.
fn head(plan: &Plan, input: &Path, at: Option<f64>) -> Args {
    let mut args = Args(Vec::new());
    args.add(
        "-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1 -stats_period 0.5",
    );
    args.0.extend(input_flags().into_iter().map(OsString::from));
    // One graph for all rungs. A graph that is rebuilt when the frame size changes would count frames from 0 again.
    if plan.video.is_some() {
        args.add("-noautorotate -reinit_filter:v 0");
    }
    let from = at.map_or_else(|| plan.seek(), |at| Some(plan.begin + at));
    if from.is_some() && plan.video.is_some() {
        // Reads from the key frame on: the frame at the beginning of the result may have appeared long before.
        args.add("-noaccurate_seek");
        if plan.own_clock {
            args.add("-copyts -start_at_zero");
        }
    }
    args.0.extend(from_here(from).into_iter().map(OsString::from));
    args.word("-i");
    args.word(&local(input));
    if let Some(overlay) = plan.video.iter().find_map(|video| video.overlay.as_ref()) {
        args.0.extend(overlay_flags().into_iter().map(OsString::from));
        args.word("-i");
        args.word(&local(&overlay.file));
    }
    for even in plan.audio.iter().filter_map(|audio| audio.even.as_ref()) {
        args.0.extend(even.input());
    }
    for graph in filters::graphs(plan) {
        args.word("-filter_complex");
        args.word(&graph);
    }
    args
}

/// The limit on a rung's rate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cap {
    /// Its VBV.
    Rung,
    /// No limit, and a fixed number of threads, because an encoder's decisions depend on it.
    None,
}

/// The options before the source's `-i` that make reading begin later than the file does.
pub fn seek(plan: &Plan) -> Vec<String> {
    from_here(plan.seek())
}

fn from_here(at: Option<f64>) -> Vec<String> {
    at.map_or(Vec::new(), |at| vec!["-ss".into(), format!("{at:.6}")])
}

fn rung(args: &mut Args, plan: &VideoPlan, number: usize, rendition: &Rendition, cap: Cap) {
    let gop = plan.gop_of(rendition);
    let Rendition { max_bps, buffer_bits, codec_profile, .. } = rendition;
    let (max_kbps, buffer_kbits) = (max_bps / 1000, buffer_bits / 1000);
    let capped = |options: String| if cap == Cap::Rung { options } else { String::new() };
    args.add(&format!("-map [v{number}]"));
    let (preset, crf) = match (&plan.hdr, rendition.range) {
        (Some(hdr), Range::Pq | Range::Hlg) => (&hdr.preset, hdr.crf),
        _ => (&plan.preset, plan.crf),
    };
    // x265's model of how visible steps in PQ are. HLG is close enough to its assumptions.
    let tuning = if rendition.range == Range::Pq { ":hdr10-opt=1" } else { "" };
    match plan.codec_of(rendition) {
        // Without the captions of the source's stream: the playlists declare none. The other encoders never pass
        // captions on.
        VideoCodec::H264 => args.add(&format!(
            "-c:v libx264 -preset {preset} -profile:v {codec_profile} -crf {crf} {} \
             -g {gop} -keyint_min {gop} -sc_threshold 0 -flags +cgop+bitexact -a53cc 0",
            capped(format!("-maxrate {max_bps} -bufsize {buffer_bits}")),
        )),
        VideoCodec::Hevc => args.add(&format!(
            "-c:v libx265 -preset {preset} -profile:v {codec_profile} -crf {crf} -tag:v hvc1 -flags +bitexact \
             -x265-params log-level=error:{}keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0{tuning}{}",
            capped(format!("vbv-maxrate={max_kbps}:vbv-bufsize={buffer_kbits}:")),
            plan.hdr10(rendition.range),
        )),
        VideoCodec::Av1 => args.add(&format!(
            "-c:v libsvtav1 -preset {preset} -crf {crf} -g {gop} -flags +bitexact -svtav1-params scd=0{}",
            capped(format!(":mbr={max_kbps}")),
        )),
    }
    if cap == Cap::None {
        args.add("-threads 4");
    }
    // Encoders name two transfer functions differently than filters do.
    let transfer = match filters::transfer(plan, rendition.range) {
        "bt470m" => "gamma22",
        "bt470bg" => "gamma28",
        other => other,
    };
    args.add(&format!(
        "-colorspace {} -color_primaries {} -color_trc {} -color_range tv -fps_mode passthrough \
         -video_track_timescale {}",
        rendition.range.matrix(),
        filters::primaries(plan, rendition.range),
        transfer,
        plan.timescale(),
    ));
    output(args, "+frag_keyframe", &video_file(number));
}

fn audio_output(args: &mut Args, number: usize, plan: &AudioPlan) {
    args.add(&format!("-map [a{number}] -c:a aac -b:a {} -flags +bitexact", plan.bps));
    // The encoder's first frame only primes it and lies before time 0. Without it the track starts at 0 with no need
    // of an edit list that cuts something away, which not every player honours.
    args.add("-bsf:a noise=drop=lt(pts\\,0)");
    output(args, "+frag_every_frame", &audio_file(number));
}

fn output(args: &mut Args, fragments: &str, file: &str) {
    args.add("-map_metadata -1 -map_chapters -1 -fflags +bitexact -f mp4 -movflags");
    // Not `+cmaf`: it makes offsets negative; `package/header.rs` says why they should not be.
    args.word(&format!("+empty_moov+default_base_moof+skip_sidx+skip_trailer{fragments}"));
    args.word(file);
}

struct Args(Vec<OsString>);

impl Args {
    /// Words separated by spaces.
    fn add(&mut self, words: &str) {
        self.0.extend(words.split_whitespace().map(OsString::from));
    }

    /// One word as it is.
    fn word<T: AsRef<OsStr> + ?Sized>(&mut self, word: &T) {
        self.0.push(word.as_ref().to_owned());
    }
}
