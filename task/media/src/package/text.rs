//! `WebVTT`: reads the cues that ffmpeg made from a subtitle track, and cuts them into segments. Pure.
//!
//! The cues of a track take at most [`MAX_BYTES`] of memory, however long they are shown and however many segments
//! they are in: segments are written one by one.

use std::{
    collections::HashSet,
    io::{self, BufRead, Read, Write},
};

use transcode_config::escape::{self, Place};

use super::braces;
use crate::rational::{float, round_to_u64};

/// Length of a text segment in seconds. Text is small; ten times the usual length keeps the number of files low.
pub const SEGMENT_SECONDS: u64 = 60;
/// Memory that the cues of a track may take, in bytes: a long film has 200 KB of them.
pub const MAX_BYTES: usize = 8 << 20;
/// Memory of a cue beside its text, in bytes.
const CUE_BYTES: usize = 80;
/// Longest text of a cue, in characters.
const MAX_TEXT: usize = 2000;
/// Most passes over a text that remove outlines of shapes.
const MAX_PASSES: usize = 8;
/// Most bytes of a line that are read at once: the rest is read as the next line.
const MAX_LINE: u64 = 16 << 10;

/// A text and the time when it is shown, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Cue {
    pub start: u64,
    /// End, after the begin.
    pub end: u64,
    /// Lines of text, none of them empty.
    pub text: String,
}

impl Cue {
    /// Its memory in bytes. All cues of a track together may take [`MAX_BYTES`].
    pub fn cost(&self) -> usize {
        CUE_BYTES + self.text.len()
    }
}

/// Reads cues and skips everything else. Cues end with the video, at `end` milliseconds. `ass`: the source's texts are
/// ASS, which has comments in braces. None if they take more memory than a track may.
pub fn read(mut text: impl BufRead, end: u64, ass: bool) -> io::Result<Option<Vec<Cue>>> {
    let (mut cues, mut cost) = (Vec::new(), 0);
    let mut open: Option<Cue> = None;
    loop {
        let line = next_line(&mut text)?;
        let times = line.as_deref().map(times);
        if let (Some(None), Some(cue), Some(line)) = (times, &mut open, &line) {
            // Lines after an empty line belong to the same text, up to the next times: ffmpeg writes neither notes
            // nor names between them.
            add(&mut cue.text, line);
            continue;
        }
        let cue = std::mem::replace(
            &mut open,
            times.flatten().map(|(start, to)| Cue { start, end: to.min(end), text: String::new() }),
        );
        let shown = cue.filter(|cue| cue.start < cue.end);
        if let Some(cue) = shown.and_then(|cue| finished(&cue, ass)) {
            cost += cue.cost();
            if cost > MAX_BYTES {
                return Ok(None);
            }
            cues.push(cue);
        }
        if line.is_none() {
            break;
        }
    }
    cues.sort_by_key(|cue| cue.start);
    once(&mut cues);
    Ok(Some(cues))
}

/// Keeps one of each text at the same time: layers of ASS repeat it for outline and shadow. In order of their start.
fn once(cues: &mut Vec<Cue>) {
    let (mut start, mut seen) = (None, HashSet::new());
    cues.retain(|cue| {
        if start.replace(cue.start) != Some(cue.start) {
            seen.clear();
        }
        seen.insert((cue.end, cue.text.clone()))
    });
}

fn times(line: &str) -> Option<(u64, u64)> {
    let (from, to) = line.split_once("-->")?;
    Some((time(from)?, time(to)?))
}

/// Adds a line, without hidden characters. An empty line would end the cue; one of non-breaking spaces is kept.
fn add(text: &mut String, line: &str) {
    if text.len() > MAX_TEXT * 4 {
        return;
    }
    // ASS has an escape for a space that does not break.
    let line = line.replace("\\h", "\u{a0}");
    let line: String = line.chars().filter(|letter| escape::kept_in_cues(*letter)).collect();
    if line.trim_ascii().is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&line);
}

/// The cue with its text escaped for `WebVTT`; none if the text is empty.
fn finished(cue: &Cue, ass: bool) -> Option<Cue> {
    let words: String = cue.text.chars().take(MAX_TEXT).collect();
    let words = without_drawings(if ass { braces::without_comments(&words) } else { words });
    let words = words.trim_matches(|letter: char| letter.is_ascii_whitespace());
    let nothing = words.replace("&nbsp;", " ").trim().is_empty();
    (!nothing).then(|| Cue { text: escaped(words), start: cue.start, end: cue.end })
}

/// The text without what ffmpeg puts around braces, without outlines of shapes, as in ASS subtitles (`m 0 0 l 100 0 100
/// 50`), which ffmpeg passes on as text, and without the lines that were nothing else: an empty line would end the cue.
/// Where one is removed, the text around it may be another; a text that has some after [`MAX_PASSES`] is nothing else.
fn without_drawings(mut text: String) -> String {
    for _ in 0..MAX_PASSES {
        let rest = cut(&braces::unescaped(&text));
        let lines: Vec<_> = rest.split('\n').filter(|line| !line.trim_ascii().is_empty()).collect();
        let left = lines.join("\n");
        if left == text {
            return text;
        }
        text = left;
    }
    String::new()
}

/// The text without the outlines that are found from left to right.
fn cut(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['m', 'n']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let run = run(from);
        // What is no outline has none inside, so that the time is linear.
        let (text, behind) = from.split_at_checked(run.length.max(1)).unwrap_or((from, ""));
        out.push_str(if run.is_outline { "" } else { text });
        rest = behind;
    }
    out + rest
}

/// Commands and numbers in a row.
struct Run {
    /// Its length in bytes.
    length: usize,
    /// At least a point, and a line or curve from it.
    is_outline: bool,
}

/// The run that begins here. Text may follow the last number without a space.
fn run(text: &str) -> Run {
    let (mut rest, mut numbers, mut lines) = (text, 0, false);
    loop {
        let next = rest.trim_ascii_start();
        let command = next.chars().next().filter(|letter| "mnlbspc".contains(*letter));
        let behind = command.and_then(|_| next.get(1..));
        if let Some(behind) = behind.filter(|behind| behind.is_empty() || behind.starts_with([' ', '\n'])) {
            lines |= command.is_some_and(|letter| "lbs".contains(letter));
            rest = behind;
            continue;
        }
        let end = next.find(|letter: char| !letter.is_ascii_digit() && !"-.".contains(letter));
        let (number, behind) = next.split_at_checked(end.unwrap_or(next.len())).unwrap_or((next, ""));
        if number.parse::<f64>().is_err() {
            return Run { length: text.len() - rest.len(), is_outline: lines && numbers >= 4 };
        }
        (numbers, rest) = (numbers + 1, behind);
    }
}

/// Keeps ffmpeg's markup (bold, italic, underlined) and existing references. Every other `<`, `>` and `&` is text,
/// and escaped as the standard requires (`WebVTT`, 3.3).
fn escaped(text: &str) -> String {
    const KEPT: [&str; 12] =
        ["<b>", "</b>", "<i>", "</i>", "<u>", "</u>", "&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let kept = KEPT.iter().find(|kept| rest.starts_with(**kept));
        let taken = kept.map_or(letter.len_utf8(), |kept| kept.len());
        let (words, behind) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        match kept {
            // Between two lines of the cue.
            None if letter == '\n' => out.push(letter),
            Some(kept) => out.push_str(kept),
            None => out.push_str(&escape::escaped(words, Place::Cue)),
        }
        rest = behind;
    }
    out
}

/// A line without its end, at most [`MAX_LINE`] bytes of it.
fn next_line(text: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if text.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// The cues from `begin` on, in milliseconds, on a clock that begins there.
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

/// Writes a whole track, for players that load it at once.
pub fn write_whole(to: &mut dyn Write, cues: &[Cue]) -> io::Result<()> {
    to.write_all(b"WEBVTT\n")?;
    cues.iter().try_for_each(|cue| append(to, cue))
}

/// A stretch of [`SEGMENT_SECONDS`] or, at the end, less, and its cues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its length in milliseconds.
    pub millis: u64,
    cues: Vec<&'a Cue>,
}

impl Segment<'_> {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        float(self.millis) / 1000.0
    }

    /// Writes it as a file of its own.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        // Local time is the time of the video, whose clock begins at 0.
        to.write_all(b"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")?;
        self.cues.iter().try_for_each(|cue| append(to, cue))
    }
}

/// Segments of `seconds` of video, in order. A cue that spans two of them is in both.
pub fn segments(cues: &[Cue], seconds: f64) -> impl Iterator<Item = Segment<'_>> {
    let length = SEGMENT_SECONDS * 1000;
    let end = round_to_u64(seconds * 1000.0).max(1);
    let mut waiting = cues.iter().peekable();
    let mut open: Vec<&Cue> = Vec::new();
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= end {
            return None;
        }
        let stop = (start + length).min(end);
        open.retain(|cue| cue.end > start);
        while let Some(cue) = waiting.next_if(|cue| cue.start < stop) {
            open.push(cue);
        }
        let segment = Segment { millis: stop - start, cues: open.clone() };
        start = stop;
        Some(segment)
    })
}

/// Bytes of text in all segments together: a cue that is shown for hours is in many of them.
pub fn segment_bytes(cues: &[Cue]) -> u64 {
    let length = SEGMENT_SECONDS * 1000;
    let times = |cue: &Cue| (cue.end.saturating_sub(1) / length).saturating_sub(cue.start / length) + 1;
    let bytes = |cue: &Cue| u64::try_from(cue.text.len() + CUE_BYTES).unwrap_or(u64::MAX);
    cues.iter().map(|cue| times(cue).saturating_mul(bytes(cue))).fold(0, u64::saturating_add)
}

fn append(to: &mut dyn Write, cue: &Cue) -> io::Result<()> {
    write!(to, "\n{} --> {}\n{}\n", timestamp(cue.start), timestamp(cue.end), cue.text)
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

    fn parse(text: &str, end: u64) -> Vec<Cue> {
        read(text.as_bytes(), end, false).unwrap().unwrap()
    }

    fn text_of(segment: &Segment<'_>) -> String {
        let mut bytes = Vec::new();
        segment.write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_that_layers_repeat_is_shown_once() {
        let text = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n\n00:01.000 --> 00:02.000\nOther\n\n\
                    00:01.000 --> 00:02.000\nHello\n\n00:03.000 --> 00:04.000\nHello\n";
        let cues = read(text.as_bytes(), 10_000, false).unwrap().unwrap();
        let texts: Vec<_> = cues.iter().map(|cue| (cue.start, cue.text.as_str())).collect();
        assert_eq!(texts, [(1000, "Hello"), (1000, "Other"), (3000, "Hello")]);
    }

    #[test]
    fn cues_are_read_and_end_with_the_video() {
        let text = "WEBVTT\n\n00:01.000 --> 00:02.500 line:1\nHello\nworld\n\n01:00:00.000 --> 01:00:01.000\nlate\n\n\
                    00:00:03.000 --> 00:00:09.000\n--> x\n\n00:00:04.000 --> 00:00:04.000\nno time\n";
        let cues = parse(text, 5000);
        assert_eq!(cues.len(), 2);
        assert_eq!(cues[0], Cue { start: 1000, end: 2500, text: "Hello\nworld".into() });
        assert_eq!(cues[1], Cue { start: 3000, end: 5000, text: "--&gt; x".into() });
    }

    #[test]
    fn texts_are_text_and_drawings_are_not() {
        for (text, wanted) in [
            ("Tom & Jerry: 1 < 2 <3 love", Some("Tom &amp; Jerry: 1 &lt; 2 &lt;3 love")),
            ("<i>Spoken</i> words &amp; more", Some("<i>Spoken</i> words &amp; more")),
            ("above\n\nbelow", Some("above\nbelow")),
            ("above\n\u{a0}\nbelow", Some("above\n\u{a0}\nbelow")),
            ("\u{a0}", None),
            ("&nbsp;", None),
            ("m 0 0 l 100 0 100 50 0 50", None),
            ("m 0 0 b 1.5 -2 3 4 5 6\nl 7 8", None),
            ("m 0 0 l 100 0Label one", Some("Label one")),
            ("Signm 0 0 l 5 5 0 5\nbelow", Some("Sign\nbelow")),
            ("above\nm 0 0 l 5 5 0 5\nbelow", Some("above\nbelow")),
            ("x m 0 0 5 5 lm 0 0 l 1 1 Z", Some("x  Z")),
            ("two\\hwords", Some("two\u{a0}words")),
            ("m 1 is a metre", Some("m 1 is a metre")),
            ("m 1 2 3 or b", Some("m 1 2 3 or b")),
            ("m", Some("m")),
            ("\\{note\\} \\{{}x\\}", Some("{note} {x}")),
            ("first\n\u{feff}\u{1}\nlast", Some("first\nlast")),
        ] {
            let cues = parse(
                &format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n\n00:03.000 --> 00:04.000\nnext\n"),
                5000,
            );
            let texts: Vec<_> = cues.iter().map(|cue| cue.text.as_str()).collect();
            let all: Vec<_> = wanted.into_iter().chain(["next"]).collect();
            assert_eq!(texts, all, "{text:?}");
        }
    }

    #[test]
    fn a_cue_across_a_border_is_in_both_segments() {
        let cues = [
            Cue { start: 59_000, end: 61_000, text: "across".into() },
            Cue { start: 70_000, end: 71_000, text: "later".into() },
        ];
        let segments: Vec<_> = segments(&cues, 121.5).collect();
        let lengths: Vec<_> = segments.iter().map(Segment::seconds).collect();
        assert_eq!(lengths, [60.0, 60.0, 1.5]);
        let texts: Vec<_> = segments.iter().map(text_of).collect();
        assert!(texts[0].contains("across") && !texts[0].contains("later"));
        assert!(texts[1].contains("across") && texts[1].contains("later"));
        assert!(!texts[2].contains("-->"));
        let written: usize = texts.iter().map(|text| text.matches("-->").count()).sum();
        assert_eq!(segment_bytes(&cues), u64::try_from(3 * CUE_BYTES + 2 * 6 + 5).unwrap());
        assert_eq!(written, 3);
    }

    #[test]
    fn a_track_of_more_text_than_fits_is_given_up_and_not_kept() {
        let cue = |number| format!("00:00:01.000 --> 00:00:02.000\n{number:05}{}\n\n", "x".repeat(995));
        let cues = |count| (0..count).map(cue).collect::<String>();
        let fits = MAX_BYTES / (1000 + CUE_BYTES);
        assert_eq!(read(cues(fits).as_bytes(), 5000, false).unwrap().map(|cues| cues.len()), Some(fits));
        assert_eq!(read(cues(fits + 1).as_bytes(), 5000, false).unwrap(), None);
        // A text without an end is not gathered whole.
        let endless = io::Cursor::new(b"00:01.000 --> 00:02.000\n").chain(io::repeat(b'x').take(1 << 26));
        let cues = read(io::BufReader::new(endless), 5000, false).unwrap().unwrap();
        assert_eq!(cues[0].text.len(), 2000);
        let mut endless = io::BufReader::new(io::repeat(b'x').take(1 << 20));
        assert_eq!(next_line(&mut endless).unwrap().unwrap().len(), 16 << 10, "the rest is another line");
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
            let mut written = 0;
            for segment in segments(&cues, 100.0) {
                let text = text_of(&segment);
                prop_assert!(text.matches("-->").count() <= cues.len());
                written += text.len() - "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n".len();
            }
            prop_assert!(u64::try_from(written).unwrap() <= segment_bytes(&cues), "no less than is written");
        }

        #[test]
        fn no_text_hides_anything_in_a_file_or_ends_its_cue(
            words in "[\\x00-\\xa0\u{200b}\u{2028}-\u{202e}\u{feff}<>&a-z]{0,60}",
        ) {
            let cues = parse(&format!("00:01.000 --> 00:02.000\nfirst {words}\n"), 100_000);
            let mut file = Vec::new();
            write_whole(&mut file, &cues).unwrap();
            let file = String::from_utf8(file).unwrap();
            let unseen = |c: char| c != '\n' && (c.is_control() || "\u{200b}\u{2028}\u{2029}\u{202d}\u{202e}\u{feff}".contains(c));
            prop_assert!(!file.chars().any(unseen), "{file:?}");
            prop_assert_eq!(cues.len(), 1);
            prop_assert!(file.matches("-->").count() == 1 && !file.contains("<script"), "{file:?}");
            prop_assert!(!file.trim_end().split_once("first").unwrap().1.contains("\n\n"), "{file:?}");
        }
    }
}
