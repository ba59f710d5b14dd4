//! The DASH manifest over the same segments. Pure.

use std::fmt::Write;

use transcode_config::escape::{Place, escaped};

use super::{
    captions::{Captions, WHOLE},
    codecs::{codec_string, frame_size},
    hls,
    track::{INIT, Track, Tracks},
};
use crate::{
    examine::range::Range,
    plan::{AudioPlan, Plan, SAMPLE_RATE, STEREO, SURROUND, ladder::Rendition},
};

/// The manifest. `folder` is the prefix of every address.
pub fn manifest(plan: &Plan, tracks: &Tracks, captions: &[Captions], folder: &str) -> String {
    let target = hls::target_duration(tracks);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011,\
         urn:mpeg:dash:profile:cmaf:2019\" type=\"static\" mediaPresentationDuration=\"PT{:.3}S\" \
         minBufferTime=\"PT{target}S\" maxSegmentDuration=\"PT{}S\">\n  <Period id=\"0\" start=\"PT0S\">\n",
        plan.seconds,
        target + 1,
    );
    if let Some(video) = &plan.video {
        let rungs: Vec<_> = video.renditions.iter().zip(&tracks.video).collect();
        let (standard, high): (Vec<_>, Vec<_>) =
            rungs.into_iter().partition(|(rung, _)| rung.range == Range::Sdr);
        text.push_str(&video_set(0, &standard, folder, target));
        if !high.is_empty() {
            text.push_str(&video_set(tracks.audio.len() + captions.len() + 1, &high, folder, target));
        }
    }
    let surround = plan.audio.iter().any(|audio| audio.channels == SURROUND);
    for (number, (audio, track)) in plan.audio.iter().zip(&tracks.audio).enumerate() {
        text.push_str(&audio_set(number + 1, audio, track, folder, target, surround));
    }
    for (number, one) in captions.iter().enumerate() {
        text.push_str(&text_set(tracks.audio.len() + 1 + number, one, folder));
    }
    text.push_str("  </Period>\n</MPD>\n");
    text
}

/// An adaptation set with the rungs of one dynamic range. Players that do not support high range must ignore its set.
fn video_set(number: usize, rungs: &[(&Rendition, &Track)], folder: &str, target: u64) -> String {
    let mut text = format!(
        "    <AdaptationSet id=\"{number}\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
         startWithSAP=\"1\">\n"
    );
    let range = rungs.first().map_or(Range::Sdr, |(rung, _)| rung.range);
    if range != Range::Sdr {
        // Primaries and matrix of BT.2020 (ISO/IEC 23091-2).
        let colour =
            [("ColourPrimaries", 9), ("TransferCharacteristics", range.cicp()), ("MatrixCoefficients", 9)];
        for (name, value) in colour {
            let _ = writeln!(
                text,
                "      <EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:{name}\" value=\"{value}\"/>"
            );
        }
    }
    for (rung, track) in rungs {
        let (width, height) = frame_size(&track.init.codec).unwrap_or_default();
        let _ = write!(
            text,
            "      <Representation id=\"{}\" bandwidth=\"{}\" codecs=\"{}\" width=\"{width}\" \
             height=\"{height}\" frameRate=\"{}\" sar=\"1:1\">\n{}      </Representation>\n",
            rung.name,
            hls::bandwidth(track, target).peak,
            codec_string(&track.init.codec).unwrap_or_default(),
            rung.rate,
            template(track, folder),
        );
    }
    text.push_str("    </AdaptationSet>\n");
    text
}

fn audio_set(
    number: usize,
    audio: &AudioPlan,
    track: &Track,
    folder: &str,
    target: u64,
    surround: bool,
) -> String {
    let language = audio
        .stream
        .language
        .as_deref()
        .map_or_else(String::new, |tag| format!(" lang=\"{}\"", escaped(tag, Place::Markup)));
    // If there is a choice of channels, a player without a preference takes stereo.
    let (priority, suffix) = match (surround, audio.channels) {
        (true, STEREO) => (" selectionPriority=\"2\"", ""),
        (_, SURROUND) => ("", " 5.1"),
        _ => ("", ""),
    };
    let role = match (audio.stream.describes_video, audio.default) {
        (true, _) => "description",
        (false, true) => "main",
        (false, false) => "alternate",
    };
    format!(
        "    <AdaptationSet id=\"{number}\" contentType=\"audio\" mimeType=\"audio/mp4\"{language}{priority} \
         segmentAlignment=\"true\" startWithSAP=\"1\">\n      \
         <Label>{}{suffix}</Label>\n      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n      \
         <Representation id=\"{}\" bandwidth=\"{}\" codecs=\"{}\" audioSamplingRate=\"{SAMPLE_RATE}\">\n        \
         <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
         value=\"{}\"/>\n{}      </Representation>\n    </AdaptationSet>\n",
        escaped(&audio.label, Place::Markup),
        audio.name,
        hls::bandwidth(track, target).peak,
        codec_string(&track.init.codec).unwrap_or_default(),
        audio.channels,
        template(track, folder),
    )
}

/// An adaptation set of texts: one file each.
fn text_set(number: usize, captions: &Captions, folder: &str) -> String {
    let language = captions
        .stream
        .language
        .as_deref()
        .map_or_else(String::new, |tag| format!(" lang=\"{}\"", escaped(tag, Place::Markup)));
    let role = match (captions.stream.forced, captions.stream.hearing_impaired) {
        (true, _) => "forced-subtitle",
        (false, true) => "caption",
        (false, false) => "subtitle",
    };
    format!(
        "    <AdaptationSet id=\"{number}\" contentType=\"text\" mimeType=\"text/vtt\"{language}>\n      \
         <Label>{}</Label>\n      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n      \
         <Representation id=\"text-{}\" bandwidth=\"1000\">\n        <BaseURL>{folder}{}/{WHOLE}</BaseURL>\n      \
         </Representation>\n    </AdaptationSet>\n",
        escaped(&captions.label, Place::Markup),
        captions.name,
        captions.folder,
    )
}

/// Addresses and exact durations; runs of equal durations are folded.
fn template(track: &Track, folder: &str) -> String {
    let mut text = format!(
        "        <SegmentTemplate timescale=\"{}\" initialization=\"{folder}{}/{INIT}\" \
         media=\"{folder}{}/$Number%05d$.m4s\" startNumber=\"1\">\n          <SegmentTimeline>\n",
        track.init.timescale, track.folder, track.folder,
    );
    let mut runs: Vec<(u64, u64, u64)> = Vec::new();
    for segment in &track.segments {
        match runs.last_mut() {
            Some((_, duration, more)) if *duration == segment.duration => *more += 1,
            _ => runs.push((segment.start, segment.duration, 0)),
        }
    }
    for (start, duration, more) in runs {
        let repeat = if more == 0 { String::new() } else { format!(" r=\"{more}\"") };
        let _ = writeln!(text, "            <S t=\"{start}\" d=\"{duration}\"{repeat}/>");
    }
    text.push_str("          </SegmentTimeline>\n        </SegmentTemplate>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::probe::TextStream;

    proptest::proptest! {
        #[test]
        fn whatever_a_track_is_called_its_set_is_the_same_markup(
            label in "[\\x00-\\xa0\u{2028}-\u{202e}\u{feff}<>&'\"/=a-z]{0,40}", language in "[\\x00-\\x7f\u{202e}]{0,20}",
        ) {
            let set = |label: &str, language: &str| {
                let stream = TextStream {
                    index: 0, codec: "subrip".into(), language: Some(language.into()), title: None,
                    default: false, forced: false, hearing_impaired: false,
                };
                let folder = "text/en".into();
                let captions =
                    Captions { name: "en".into(), label: label.into(), stream, folder, cues: 1, segments: vec![] };
                text_set(1, &captions, "")
            };
            let (text, plain) = (set(&label, &language), set("", ""));
            assert!(!text.chars().any(|c| c != '\n' && transcode_config::escape::hidden(c)), "{text:?}");
            let marks = |text: &str| text.chars().filter(|c| "<>\"\n".contains(*c)).collect::<String>();
            assert_eq!(marks(&text), marks(&plain), "{text}");
        }
    }
}
