//! `WebVTT`: reads the cues that ffmpeg made of a subtitle track, and cuts them into segments. Pure.

use std::fmt::Write;

use crate::media::rational::{float, round_to_u64};

/// Length of a text segment in seconds. Text is small; ten times the usual length keeps the number of files low.
pub const SEGMENT_SECONDS: u64 = 60;
/// Cues that are kept of a track: four a second over twelve hours.
pub const MAX_CUES: usize = 200_000;
/// Longest text of a cue, in characters.
const MAX_TEXT: usize = 2000;

/// A text and when it is shown, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// Begin.
    pub start: u64,
    /// End, after the begin.
    pub end: u64,
    /// Lines of text, none of them empty.
    pub text: String,
}

/// Reads cues. What is not a cue is left out; cues end with the video, at `end` milliseconds.
pub fn parse(text: &str, end: u64) -> Vec<Cue> {
    let mut cues = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((from, to)) = line.split_once("-->") else { continue };
        let (Some(from), Some(to)) = (time(from), time(to)) else { continue };
        let mut body = String::new();
        for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
            if !body.is_empty() {
                body.push('\n');
            }
            // An arrow in a text would be read as the times of a new cue.
            body.push_str(&line.replace("-->", "->"));
        }
        let body: String = body.chars().filter(|c| *c == '\n' || !c.is_control()).take(MAX_TEXT).collect();
        if from < to.min(end) && !body.is_empty() && cues.len() < MAX_CUES {
            cues.push(Cue { start: from, end: to.min(end), text: body });
        }
    }
    cues.sort_by_key(|cue| cue.start);
    cues
}

/// What is shown from `begin` on, in milliseconds, on a clock that begins there.
pub fn from(cues: Vec<Cue>, begin: u64) -> Vec<Cue> {
    let seen = cues.into_iter().filter(|cue| cue.end > begin);
    seen.map(|cue| Cue { start: cue.start.saturating_sub(begin), end: cue.end - begin, ..cue }).collect()
}

/// `hh:mm:ss.mmm` or `mm:ss.mmm`, with settings behind it.
fn time(text: &str) -> Option<u64> {
    let mut parts = text.split_whitespace().next()?.rsplit(':');
    let seconds: f64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let hours: u64 = parts.next().map_or(Some(0), |hours| hours.parse().ok())?;
    if !(0.0..60.0).contains(&seconds) || minutes > 59 || hours > 1000 {
        return None;
    }
    Some((hours * 60 + minutes) * 60_000 + round_to_u64(seconds * 1000.0))
}

/// A whole track, for players that load it at once.
pub fn whole(cues: &[Cue]) -> String {
    let mut text = String::from("WEBVTT\n");
    for cue in cues {
        append(&mut text, cue);
    }
    text
}

/// Segments of [`SEGMENT_SECONDS`], each with its duration in seconds. A cue that lies in two of them is in both.
pub fn segments(cues: &[Cue], seconds: f64) -> Vec<(String, f64)> {
    let length = SEGMENT_SECONDS * 1000;
    let end = round_to_u64(seconds * 1000.0).max(1);
    let mut waiting = cues.iter().peekable();
    let mut open: Vec<&Cue> = Vec::new();
    let mut segments = Vec::new();
    let mut start = 0;
    while start < end {
        let stop = (start + length).min(end);
        open.retain(|cue| cue.end > start);
        while let Some(cue) = waiting.next_if(|cue| cue.start < stop) {
            open.push(cue);
        }
        // Local time is the time of the video, whose clock begins at 0.
        let mut text = String::from("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n");
        for cue in &open {
            append(&mut text, cue);
        }
        segments.push((text, float(stop - start) / 1000.0));
        start = stop;
    }
    segments
}

fn append(text: &mut String, cue: &Cue) {
    let _ = write!(text, "\n{} --> {}\n{}\n", timestamp(cue.start), timestamp(cue.end), cue.text);
}

/// `WebVTT` time: hours, minutes, seconds and milliseconds.
pub fn timestamp(millis: u64) -> String {
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", millis / 1000 % 60, millis % 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cues_are_read_and_end_with_the_video() {
        let text = "WEBVTT\n\n00:01.000 --> 00:02.500 line:1\nHello\nworld\n\n01:00:00.000 --> 01:00:01.000\nlate\n\n\
                    00:00:03.000 --> 00:00:09.000\n--> x\n\n00:00:04.000 --> 00:00:04.000\nno time\n";
        let cues = parse(text, 5000);
        assert_eq!(cues.len(), 2);
        assert_eq!(cues[0], Cue { start: 1000, end: 2500, text: "Hello\nworld".into() });
        assert_eq!(cues[1], Cue { start: 3000, end: 5000, text: "-> x".into() });
    }

    #[test]
    fn a_cue_across_a_border_is_in_both_segments() {
        let cues = [
            Cue { start: 59_000, end: 61_000, text: "across".into() },
            Cue { start: 70_000, end: 71_000, text: "later".into() },
        ];
        let segments = segments(&cues, 121.5);
        let lengths: Vec<_> = segments.iter().map(|(_, seconds)| *seconds).collect();
        assert_eq!(lengths, [60.0, 60.0, 1.5]);
        assert!(segments[0].0.contains("across") && !segments[0].0.contains("later"));
        assert!(segments[1].0.contains("across") && segments[1].0.contains("later"));
        assert!(!segments[2].0.contains("-->"));
    }

    #[test]
    fn times_are_written() {
        assert_eq!(timestamp(0), "00:00:00.000");
        assert_eq!(timestamp(45_296_789), "12:34:56.789");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_cue_breaks_out(text in "([0-9:.]{0,13} --> [0-9:.]{0,13}\n|.{0,20}\n){0,12}") {
            let cues = parse(&text, 100_000);
            for (segment, _) in segments(&cues, 100.0) {
                let arrows = segment.matches("-->").count();
                prop_assert!(arrows <= cues.len());
            }
        }
    }
}
