//! The filter graph: decoded video in, every rung out; a decoded audio stream in, one rendition out.
//!
//! Only numbers and fixed words go in. Nothing that an uploader can choose (names, tags, paths) reaches a filter.

use std::fmt::Write;

use super::{
    audio::{AudioPlan, SAMPLE_RATE, SURROUND},
    loudness,
    spot::Spot,
    types::Plan,
    video::VideoPlan,
};
use crate::examine::{combed::Combed, crop::Crop, overlay::Overlay, probe::VideoStream, range::Range};

/// The graphs: one for the video with outputs `[v0]…` for the rungs, and one for each audio rendition with the output
/// `[a0]…`. ffmpeg rebuilds a graph when the format of one of its inputs changes in the middle of the file; in a
/// shared graph the other streams would be counted from 0 again.
pub(super) fn graphs(plan: &Plan) -> Vec<String> {
    let video = plan.video.iter().map(|video| video_chains(video).join(";"));
    // After the source and the overlay come the converted tracks.
    let mut input = 1 + usize::from(plan.video.iter().any(|video| video.overlay.is_some()));
    let audio = plan.audio.iter().enumerate().map(|(number, audio)| {
        let from = match audio.even {
            Some(_) => format!("{input}:a"),
            None => format!("0:{}", audio.stream.index),
        };
        input += usize::from(audio.even.is_some());
        audio_chain(number, audio, &from)
    });
    video.chain(audio).collect()
}

fn video_chains(plan: &VideoPlan) -> Vec<String> {
    // First scales to the size in the headers: a change of size in the middle of the file ends here.
    let VideoStream { index, width, height, rotation, .. } = &plan.stream;
    let (neutral, cut) = (plan.stream.color.neutral(), cut(plan));
    let mut trunk = format!("[0:{index}]{neutral}{cut}scale=w={width}:h={height}:flags=bicubic,");
    if plan.over_black {
        // Transparent parts become black, as in players.
        trunk.push_str("premultiply=inplace=1,");
    }
    trunk.push_str(&deinterlace(&plan.stream));
    // `fps` starts at 0 whatever the first frame's time is, and keeps the last frame however short it is; `tpad` and
    // `trim` make the number of frames exact.
    let _ = write!(
        trunk,
        "{}fps=fps={}:start_time=0:round=near:eof_action=pass,tpad=stop_mode=clone:stop={},{},{}",
        rotation.filters(),
        plan.rate,
        plan.pad_frames,
        frames(plan),
        branches(plan),
    );
    let rungs = plan.renditions.iter().enumerate().map(|(number, rung)| {
        let step = match rung.frame_step {
            0 | 1 => String::new(),
            step => format!("framestep={step},"),
        };
        let (from, format) = match rung.range {
            Range::Sdr => (matrix(plan), "yuv420p"),
            Range::Pq | Range::Hlg => ("bt2020", "yuv420p10le"),
        };
        let to = if rung.range == Range::Sdr { "bt709" } else { "bt2020" };
        format!(
            "[s{number}]{step}scale=w={}:h={}:flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix={from}:\
             out_color_matrix={to}:out_range=tv,format={format},setsar=1,setparams=range=tv:colorspace={}:\
             color_primaries={}:color_trc={}{}",
            rung.width,
            rung.height,
            rung.range.matrix(),
            primaries(plan, rung.range),
            transfer(plan, rung.range),
            overlay_on(plan, number),
        )
    });
    std::iter::once(trunk)
        .chain(rungs)
        .chain(plan.overlay.as_ref().map(|overlay| over(plan, overlay)))
        .collect()
}

/// Makes whole frames of fields. Flags and header may be silent or wrong, so the order of fields is the one that was seen.
fn deinterlace(stream: &VideoStream) -> String {
    let parity = match stream.combed {
        Some(Combed { top_first: true, .. }) => "tff",
        Some(Combed { top_first: false, .. }) => "bff",
        None => "auto",
    };
    let (look, frames) = match stream.combed {
        _ if stream.interlaced => ("", "all"),
        Some(Combed { throughout: true, .. }) => ("", "all"),
        // The content of each frame decides; whole ones pass unchanged.
        Some(_) => ("idet,", "interlaced"),
        // Each frame's own flag decides.
        None if stream.may_be_interlaced() => ("", "interlaced"),
        None => return String::new(),
    };
    format!("{look}bwdif=mode=send_frame:parity={parity}:deint={frames},")
}

/// Cuts edges off.
fn cut(plan: &VideoPlan) -> String {
    let Crop { left, right, top, bottom, .. } = plan.stream.crop;
    if !plan.stream.crop.any() || plan.stream.crop.done {
        return String::new();
    }
    format!("crop=w=iw-{}:h=ih-{}:x={left}:y={top}:exact=1,", left + right, top + bottom)
}

/// The frames of the result, from 0.
fn frames(plan: &VideoPlan) -> String {
    match plan.lead_frames {
        0 => format!("trim=end_frame={}", plan.frames),
        // `setpts` makes the rate unknown; the second `fps` sets it again and may repeat the last frame.
        lead => format!(
            "trim=start_frame={lead}:end_frame={},setpts=PTS-STARTPTS,fps=fps={},trim=end_frame={}",
            lead + plan.frames,
            plan.rate,
            plan.frames
        ),
    }
}

/// The end of a rung's chain: its output, or first the overlay.
fn overlay_on(plan: &VideoPlan, number: usize) -> String {
    let spot = plan.overlay.as_ref().zip(plan.renditions.get(number));
    match spot.map(|(overlay, rung)| overlay.spot(rung.width, rung.height)) {
        Some(Spot { x, y, .. }) => {
            // The image's one frame is repeated for as long as the video lasts.
            format!(
                "[p{number}];[p{number}][w{number}]overlay=x={x}:y={y}:eof_action=repeat:format=yuv420[v{number}]"
            )
        }
        None => format!("[v{number}]"),
    }
}

/// The overlay, made for each rung: `[w0]`…
fn over(plan: &VideoPlan, overlay: &Overlay) -> String {
    let mut chains = format!(
        "[1:v:0]trim=end_frame=1,setpts=0,settb={}/{},format=rgba,colorchannelmixer=aa={:.2},split={}",
        plan.rate.den,
        plan.rate.num,
        f64::from(overlay.place.opacity_percent) / 100.0,
        plan.renditions.len(),
    );
    for number in 0..plan.renditions.len() {
        let _ = write!(chains, "[o{number}]");
    }
    for (number, rung) in plan.renditions.iter().enumerate() {
        let Spot { width, height, .. } = overlay.spot(rung.width, rung.height);
        let _ = write!(
            chains,
            ";[o{number}]scale=w={width}:h={height}:flags=area+accurate_rnd+full_chroma_int:out_color_matrix=bt709:\
             out_range=tv,format=yuva420p,setparams=range=tv:colorspace=bt709[w{number}]"
        );
    }
    chains
}

/// From the trunk to one branch for each rung. Only those of standard range are tone-mapped.
fn branches(plan: &VideoPlan) -> String {
    let all = plan.renditions.len();
    let standard = plan.standard_range().count();
    let split = |from: usize, to: usize| {
        let ends = (from..to).map(|number| format!("[s{number}]"));
        format!("split={}{}", to - from, ends.collect::<String>())
    };
    if standard == all {
        return format!("{}{}", to_standard(plan), split(0, all));
    }
    format!(
        "split=2[standard][high];[standard]{}{};[high]{}{}",
        to_standard(plan),
        split(0, standard),
        to_wide(plan),
        split(standard, all)
    )
}

/// Converts other colours to BT.709's through linear light. The video is scaled down to the top rung's size first:
/// linear light uses floats and is slow.
fn to_standard(plan: &VideoPlan) -> String {
    let Some(top) = plan.standard_range().last() else { return String::new() };
    let (width, height) = (top.width, top.height);
    if plan.tone_map {
        return format!(
            "{},zscale=w={width}:h={height}:transfer=linear:npl=203,format=gbrpf32le,zscale=primaries=709,\
             tonemap=tonemap=mobius:desat=2:peak=10,zscale=transfer=709:matrix=709:range=limited,format=yuv420p,",
            as_high(plan),
        );
    }
    if !plan.convert {
        return String::new();
    }
    // One form for every source (RGB, full range, unusual formats). The result is RGB: only there a colour that
    // BT.709 does not have becomes the nearest that it has. `scale` does not know every matrix.
    let far = plan.stream.color.far_matrix();
    format!(
        "scale=w={width}:h={height}:flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix={}:\
         out_color_matrix=bt709:out_range=tv,format=yuv444p12le,colorspace=ispace={}:iprimaries={}:itrc={}:\
         irange=tv:space=bt709:primaries=bt709:trc={}:range=tv,scale=flags=accurate_rnd+full_chroma_int:\
         in_color_matrix=bt709,format=gbrp10le,",
        if far.is_some() { "bt709" } else { source_matrix(plan) },
        far.unwrap_or("bt709"),
        plan.stream.color.far_primaries().unwrap_or("bt709"),
        plan.stream.color.far_transfer().unwrap_or_else(|| transfer(plan, Range::Sdr)),
        transfer(plan, Range::Sdr),
    )
}

/// Converts to the colours of rungs of high range, where the source has others (cinema's P3).
fn to_wide(plan: &VideoPlan) -> String {
    let color = &plan.stream.color;
    let wide = matches!(color.far_primaries(), None | Some("bt2020"))
        && !OTHERS.iter().any(|&name| color.space.as_deref() == Some(name));
    if wide {
        return String::new();
    }
    format!("{},zscale=primaries=2020:matrix=2020_ncl:range=limited,format=yuv420p10le,", as_high(plan))
}

/// Matrices of high range beside BT.2020's.
const OTHERS: [&str; 2] = ["bt709", "ictcp"];

/// Tags the frames with the colours of the high-range source.
fn as_high(plan: &VideoPlan) -> String {
    let color = &plan.stream.color;
    let range = if color.range.as_deref() == Some("pc") { "pc" } else { "tv" };
    let own = OTHERS.into_iter().find(|&name| color.space.as_deref() == Some(name));
    let matrix = own.unwrap_or("bt2020nc");
    let primaries = color.far_primaries().unwrap_or("bt2020");
    let transfer = color.dynamic_range().transfer();
    format!("setparams=range={range}:colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}")
}

/// The matrix of the frames that reach the rungs of standard range.
fn matrix(plan: &VideoPlan) -> &'static str {
    if plan.tone_map || plan.convert { "bt709" } else { source_matrix(plan) }
}

/// Codecs that know BT.601 only, at every size (RFC 6386, 9.2; Theora, 4; ISO/IEC 11172-2; H.261 and H.263).
const OLD: [&str; 13] = [
    "vp8",
    "vp7",
    "vp6",
    "vp6f",
    "vp6a",
    "vp3",
    "theora",
    "mpeg1video",
    "flv1",
    "h261",
    "h263",
    "svq1",
    "svq3",
];

/// The source's matrix. Untagged video of standard definition is BT.601 and anything larger BT.709, as players assume.
fn source_matrix(plan: &VideoPlan) -> &'static str {
    match plan.stream.color.space.as_deref() {
        _ if OLD.contains(&plan.stream.codec.as_str()) => "smpte170m",
        Some("bt709") => "bt709",
        Some("smpte170m" | "bt470bg") => "smpte170m",
        Some("smpte240m") => "smpte240m",
        Some("fcc") => "fcc",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        _ if plan.stream.width.min(plan.stream.height) >= 720 => "bt709",
        _ => "smpte170m",
    }
}

/// The primaries of a rung. Those near to BT.709's are passed on without conversion; the tag is correct in both
/// cases.
pub(super) fn primaries(plan: &VideoPlan, range: Range) -> &'static str {
    match plan.stream.color.primaries.as_deref() {
        _ if range != Range::Sdr => "bt2020",
        _ if plan.tone_map || plan.convert => "bt709",
        Some("smpte170m" | "smpte240m") => "smpte170m",
        Some("bt470bg") => "bt470bg",
        _ => plan.stream.color.far_primaries().unwrap_or("bt709"),
    }
}

/// The transfer function of a rung. Functions of standard range that differ from BT.709's (sRGB, old television) are
/// passed on without conversion; the tag is correct in both cases.
pub(super) fn transfer(plan: &VideoPlan, range: Range) -> &'static str {
    const KEPT: [&str; 4] = ["iec61966-2-1", "bt470m", "bt470bg", "smpte240m"];
    let own = plan.stream.color.transfer.as_deref().filter(|_| range == Range::Sdr);
    KEPT.into_iter().find(|&name| own == Some(name)).unwrap_or(range.transfer())
}

fn audio_chain(number: usize, plan: &AudioPlan, from: &str) -> String {
    format!(
        "[{from}]{}{}{},apad=pad_len={},atrim=end_sample={},aformat=sample_fmts=fltp[a{number}]",
        mix(plan),
        if plan.lead_samples > 0 { samples(plan) } else { String::new() },
        plan.gain.map(loudness::filters).unwrap_or_default(),
        plan.pad_samples,
        plan.samples,
    )
}

/// The filters that keep only the samples of the result, from 0; with a comma in front.
pub fn samples(plan: &AudioPlan) -> String {
    match plan.lead_samples {
        0 => format!(",atrim=end_sample={}", plan.samples),
        // Padded first: the track may end before the clip begins.
        lead => format!(
            ",apad=pad_len={},atrim=start_sample={lead}:end_sample={},asetpts=PTS-STARTPTS",
            plan.pad_samples,
            lead + plan.samples
        ),
    }
}

/// Filters from a decoded track to the channels and the sample rate of the result, beginning at time 0.
pub fn mix(plan: &AudioPlan) -> String {
    // Mono is played by both speakers at its own level. Everything else is mixed with the standard coefficients,
    // scaled so that no sample can exceed full scale.
    let mix = match (plan.channels, plan.stream.channels) {
        _ if plan.even.is_some() => "anull".to_owned(),
        (SURROUND, _) => "aformat=channel_layouts=5.1".to_owned(),
        (_, 1) => "pan=stereo|c0=c0|c1=c0".to_owned(),
        (_, channels) if !plan.stream.has_speakers() => evenly(channels, plan.stream.layout.as_deref()),
        _ => "aformat=channel_layouts=stereo".to_owned(),
    };
    format!("aresample={SAMPLE_RATE}:async=1:first_pts=0:rematrix_maxval=1,{mix}")
}

/// Mixes channels without loudspeakers to stereo: inputs of a recorder equally on both sides; of a sound field
/// (ambisonics in ACN order) the parts from the left and the right.
fn evenly(channels: u32, layout: Option<&str>) -> String {
    if channels == 2 {
        return "pan=stereo|c0=c0|c1=c1".to_owned();
    }
    if layout.is_some_and(|layout| layout.starts_with("ambisonic")) {
        return "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1".to_owned();
    }
    let share = 1.0 / f64::from(channels);
    let sum: Vec<_> = (0..channels).map(|channel| format!("{share:.5}*c{channel}")).collect();
    format!("pan=stereo|c0={sum}|c1={sum}", sum = sum.join("+"))
}
