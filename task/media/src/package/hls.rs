//! HLS playlists from measured values. Pure.
//!
//! Rule numbers are those of Apple's HLS Authoring Specification.

use std::{borrow::Cow, fmt::Write};

use transcode_config::escape::{Place, escaped};

use super::{
    captions::Captions,
    codecs::{codec_string, frame_size},
    cut::REST_FRAMES,
    text,
    track::{INIT, Segment, Track, Tracks},
};
use crate::{
    examine::{probe::TextStream, range::Range},
    plan::{AAC_FRAME, AudioPlan, Plan, SAMPLE_RATE, ladder::Rendition},
    rational::{Rational, float, round_to_u64},
};

/// Groups of audio renditions, as [`Plan::audio_groups`] has them: in stereo, and in the most channels.
const AUDIO_GROUPS: [&str; 2] = ["audio", "surround"];
/// Group that every text rendition belongs to.
const TEXT_GROUP: &str = "text";

/// Bits per second of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Largest of any segment.
    pub peak: u64,
    /// Over the whole track.
    pub average: u64,
}

/// Measures a track. Only a segment that lasts at least half the target duration counts as a peak (rule 9.1 follows
/// RFC 8216, 4.3.4.2), unless there is no other.
pub fn bandwidth(track: &Track, target: u64) -> Bandwidth {
    measure(track.segments.iter().map(|segment| (segment.bytes, track.seconds(segment.duration))), target)
}

/// The same for a list of sizes in bytes and durations in seconds.
pub fn measure(parts: impl Iterator<Item = (u64, f64)> + Clone, target: u64) -> Bandwidth {
    let rate = |(bytes, seconds): (u64, f64)| round_to_u64((float(bytes) * 8.0 / seconds.max(0.001)).ceil());
    let long = parts.clone().filter(|(_, seconds)| *seconds * 2.0 >= float(target)).map(rate).max();
    let total = parts.clone().fold((0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    let average = rate(total);
    // A track that ends with a short, heavy segment can have an average above the rate of every long one.
    let peak = long.or_else(|| parts.map(rate).max()).unwrap_or(0).max(average);
    Bandwidth { peak, average }
}

/// The target duration of all playlists: the longest segment, rounded (rule 8.2: the same for audio and video).
pub fn target_duration(tracks: &Tracks) -> u64 {
    let segments =
        tracks.video.iter().chain(&tracks.audio).flat_map(|track| {
            track.segments.iter().map(|segment| round_to_u64(track.seconds(segment.duration)))
        });
    segments.max().unwrap_or(1).max(1)
}

/// The target duration of playlists that begin before all segments are known and never change it (RFC 8216, 6.2.1):
/// an audio segment may be longer than planned by half a frame at each end, and by the rest of the audio.
pub fn planned_target(plan: &Plan) -> u64 {
    let frames = if plan.audio.is_empty() { 0 } else { 1 + REST_FRAMES };
    let longer = f64::from(frames * AAC_FRAME) / f64::from(SAMPLE_RATE);
    round_to_u64(plan.segment_seconds + longer).max(1)
}

/// A media playlist.
pub fn media(track: &Track, target: u64) -> String {
    let segments = track.segments.iter().map(|segment| entry(segment, track.init.timescale));
    head("VOD", target, "") + &segments.collect::<String>() + "#EXT-X-ENDLIST\n"
}

/// The lines of one segment.
pub fn entry(segment: &Segment, timescale: u32) -> String {
    format!("#EXTINF:{:.6},\n{}\n", float(segment.duration) / f64::from(timescale), segment.name)
}

/// The first lines of a media playlist that grows.
pub fn event_head(target: u64) -> String {
    head("EVENT", target, "")
}

/// An I-frame playlist: for each key frame the bytes from its `moof` to the frame's end (rules 6.1 and 6.10).
pub fn i_frames(track: &Track, target: u64) -> String {
    let mut text = head("VOD", target, "#EXT-X-I-FRAMES-ONLY\n");
    for segment in &track.segments {
        for fragment in &segment.fragments {
            let _ = write!(
                text,
                "#EXTINF:{:.6},\n#EXT-X-BYTERANGE:{}@{}\n{}\n",
                track.seconds(fragment.duration),
                fragment.key_bytes,
                fragment.offset,
                segment.name
            );
        }
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

fn head(kind: &str, target: u64, extra: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:{kind}\n{extra}#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{INIT}\"\n"
    )
}

/// A media playlist of texts.
pub fn texts(captions: &Captions) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n",
        text::SEGMENT_SECONDS
    );
    for (number, seconds) in captions.segments.iter().enumerate() {
        let _ = write!(text, "#EXTINF:{seconds:.6},\n{:05}.vtt\n", number + 1);
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

/// The parameters of a master playlist.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// Prefix of every address.
    pub folder: &'a str,
    /// Name of the media playlists.
    pub file: &'a str,
    /// The target duration.
    pub target: u64,
    /// Whether all tracks are complete and measured. If not, the declared rates are at least the plan's limits, and
    /// there are no I-frame playlists yet.
    pub measured: bool,
}

impl Form<'_> {
    /// The rates to declare for a track that was planned with `planned`.
    fn bandwidth(&self, track: &Track, planned: Bandwidth) -> Bandwidth {
        let found = bandwidth(track, self.target);
        if self.measured {
            return found;
        }
        Bandwidth { peak: found.peak.max(planned.peak), average: found.average.max(planned.average) }
    }
}

/// The master playlist. With more than one audio group, every rung is listed once for each; the first variants are
/// those in stereo.
pub fn master(plan: &Plan, tracks: &Tracks, captions: &[Captions], form: Form<'_>) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if !form.measured {
        // Without it players begin near the end of the playlist, as in a live stream (RFC 8216, 4.3.5.2).
        text.push_str("#EXT-X-START:TIME-OFFSET=0\n");
    }
    let audio_groups = audio_groups(plan, tracks, form);
    for group in &audio_groups {
        for (audio, track) in &group.members {
            text.push_str(&rendition(group.name, audio, track, form));
        }
    }
    for one in captions {
        text.push_str(&text_rendition(one, form.folder));
    }
    let texts = if captions.is_empty() { String::new() } else { format!(",SUBTITLES=\"{TEXT_GROUP}\"") };
    let Some(video) = &plan.video else {
        for group in &audio_groups {
            text.push_str(&audio_variant(group, &texts, form));
        }
        return text;
    };
    let rungs: Vec<_> = video.renditions.iter().zip(&tracks.video).collect();
    let silent = audio_groups.is_empty().then_some(None);
    for group in audio_groups.iter().map(Some).chain(silent) {
        for (rung, track) in first_choice_first(&rungs) {
            text.push_str(&variant(rung, track, group, &texts, form));
        }
    }
    for (rung, track) in rungs.iter().filter(|_| form.measured) {
        text.push_str(&i_frame_stream(rung, track, form));
    }
    text
}

/// A group of audio renditions.
struct AudioGroup<'a> {
    name: &'static str,
    members: Vec<(&'a AudioPlan, &'a Track)>,
    /// Bandwidth of the member that needs most.
    most: Bandwidth,
}

impl AudioGroup<'_> {
    fn codec(&self) -> Option<String> {
        self.members.first().and_then(|(_, track)| codec_string(&track.init.codec))
    }
}

fn audio_groups<'a>(plan: &'a Plan, tracks: &'a Tracks, form: Form<'_>) -> Vec<AudioGroup<'a>> {
    let groups = plan.audio_groups().into_iter().zip(AUDIO_GROUPS);
    let groups = groups.map(|(positions, name)| {
        let member = |position: usize| Some((plan.audio.get(position)?, tracks.audio.get(position)?));
        let members: Vec<_> = positions.into_iter().filter_map(member).collect();
        let rates = members.iter().map(|(audio, track)| form.bandwidth(track, planned_audio(audio)));
        let most = rates.fold(Bandwidth { peak: 0, average: 0 }, |most, one| Bandwidth {
            peak: most.peak.max(one.peak),
            average: most.average.max(one.average),
        });
        AudioGroup { name, members, most }
    });
    groups.collect()
}

/// AAC keeps close to its rate; a segment may exceed it.
fn planned_audio(audio: &AudioPlan) -> Bandwidth {
    Bandwidth { peak: audio.bps * 5 / 4, average: audio.bps }
}

fn variant(
    rung: &Rendition,
    track: &Track,
    audio: Option<&AudioGroup<'_>>,
    texts: &str,
    form: Form<'_>,
) -> String {
    let own = form.bandwidth(track, Bandwidth { peak: rung.max_bps, average: rung.average_bps });
    let most = audio.map_or(Bandwidth { peak: 0, average: 0 }, |group| group.most);
    let codecs = [codec_string(&track.init.codec), audio.and_then(AudioGroup::codec)];
    let codecs = codecs.into_iter().flatten().collect::<Vec<_>>().join(",");
    let (width, height) = frame_size(&track.init.codec).unwrap_or_default();
    let group = audio.map_or_else(String::new, |group| format!(",AUDIO=\"{}\"", group.name));
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{codecs}\",RESOLUTION={width}x{height},\
         FRAME-RATE={}{group}{texts},VIDEO-RANGE={},CLOSED-CAPTIONS=NONE\n{}{}/{}\n",
        own.peak + most.peak,
        own.average + most.average,
        frame_rate(rung.rate),
        rung.range.hls(),
        form.folder,
        track.folder,
        form.file,
    )
}

/// Without video, the first member of a group is the variant.
fn audio_variant(group: &AudioGroup<'_>, texts: &str, form: Form<'_>) -> String {
    let Some((audio, track)) = group.members.first() else { return String::new() };
    let own = form.bandwidth(track, planned_audio(audio));
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",AUDIO=\"{}\"{texts}\n{}{}/{}\n",
        own.peak,
        own.average,
        group.codec().unwrap_or_default(),
        group.name,
        form.folder,
        track.folder,
        form.file,
    )
}

/// Puts the variant with which players start first (rule 1.32: one of about 2 Mb/s); the rest follow from lowest to
/// highest.
fn first_choice_first<'a>(rungs: &[(&'a Rendition, &'a Track)]) -> Vec<(&'a Rendition, &'a Track)> {
    const START: u64 = 2_000_000;
    let distance = |rung: &Rendition| (rung.range != Range::Sdr, rung.average_bps.abs_diff(START));
    let first = rungs.iter().enumerate().min_by_key(|(_, (rung, _))| distance(rung));
    let Some((first, _)) = first else { return Vec::new() };
    let mut ordered = rungs.to_vec();
    ordered.get_mut(..=first).unwrap_or_default().rotate_right(1);
    ordered
}

fn i_frame_stream(rung: &Rendition, track: &Track, Form { folder, target, .. }: Form<'_>) -> String {
    let fragments = track.segments.iter().flat_map(|segment| &segment.fragments);
    let own = measure(
        fragments.map(|fragment| (fragment.key_bytes, track.seconds(fragment.duration))),
        target.div_ceil(3),
    );
    let codecs = codec_string(&track.init.codec).unwrap_or_default();
    let (width, height) = frame_size(&track.init.codec).unwrap_or_default();
    format!(
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{codecs}\",RESOLUTION={width}x{height},\
         VIDEO-RANGE={},URI=\"{folder}{}/iframes.m3u8\"\n",
        own.peak,
        own.average,
        rung.range.hls(),
        track.folder
    )
}

fn text_rendition(captions: &Captions, folder: &str) -> String {
    let yes_no = |yes| if yes { "YES" } else { "NO" };
    let TextStream { language, forced, hearing_impaired, default, .. } = &captions.stream;
    let mut text =
        format!("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{TEXT_GROUP}\",NAME=\"{}\"", quoted(&captions.label));
    if let Some(language) = language {
        let _ = write!(text, ",LANGUAGE=\"{}\"", quoted(language));
    }
    let _ =
        write!(text, ",DEFAULT={},AUTOSELECT=YES,FORCED={}", yes_no(*default && *forced), yes_no(*forced));
    if *hearing_impaired {
        text.push_str(
            ",CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
             public.accessibility.describes-music-and-sound\"",
        );
    }
    let _ = writeln!(text, ",URI=\"{folder}{}/index.m3u8\"", captions.folder);
    text
}

/// A stranger's words in a quoted string.
fn quoted(words: &str) -> Cow<'_, str> {
    escaped(words, Place::Playlist)
}

/// Up to three decimals (rule 9.14).
pub fn frame_rate(rate: Rational) -> String {
    format!("{:.3}", rate.value())
}

fn rendition(group: &str, audio: &AudioPlan, track: &Track, form: Form<'_>) -> String {
    let yes_no = |yes| if yes { "YES" } else { "NO" };
    let mut text = format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{}\"", quoted(&audio.label));
    if let Some(language) = &audio.stream.language {
        let _ = write!(text, ",LANGUAGE=\"{}\"", quoted(language));
    }
    let _ = write!(text, ",DEFAULT={},AUTOSELECT=YES", yes_no(audio.default));
    if audio.stream.describes_video {
        text.push_str(",CHARACTERISTICS=\"public.accessibility.describes-video\"");
    }
    let Form { folder, file, .. } = form;
    let _ = writeln!(text, ",CHANNELS=\"{}\",URI=\"{folder}{}/{file}\"", audio.channels, track.folder);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_segment_is_no_peak() {
        let parts = [(750_000, 6.0), (1_500_000, 6.0), (100_000, 0.1)];
        assert_eq!(measure(parts.into_iter(), 6), Bandwidth { peak: 2_000_000, average: 1_553_720 });
        assert_eq!(measure([(100, 0.1)].into_iter(), 6).peak, 8000, "unless there is no other");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_track_is_called_its_line_is_one_and_its_strings_end_where_they_should(
            label in "[\\x00-\\xa0\u{2028}-\u{202e}\u{feff}<>&'\",=#a-z]{0,40}", language in "[\\x00-\\x7f\u{202e}]{0,20}",
        ) {
            let stream = TextStream {
                index: 0, codec: "subrip".into(), language: Some(language), title: None,
                default: false, forced: false, hearing_impaired: false,
            };
            let captions = Captions {
                name: "en".into(), label, stream, folder: "text/en".into(), cues: 1, segments: vec![],
            };
            let text = text_rendition(&captions, "");
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.chars().any(transcode_config::escape::hidden), "{line:?}");
            // Outside of quotes: names, commas, and no word of a stranger.
            let outside: String = line.split('"').step_by(2).collect();
            assert_eq!(
                outside,
                "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=,NAME=,LANGUAGE=,DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="
            );
        }
    }

    #[test]
    fn frame_rates_have_three_decimals() {
        assert_eq!(frame_rate(Rational { num: 30_000, den: 1001 }), "29.970");
        assert_eq!(frame_rate(Rational { num: 25, den: 1 }), "25.000");
    }
}
