//! Every parser of untrusted bytes, as a function that must return for any bytes.
//!
//! The fuzz targets (`fuzz/fuzz_targets/`) call these with bytes from libFuzzer; the test in this crate replays the
//! corpus on every run. The documentation of each function names its checks beside "no panic".
#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a parser that breaks its promise has to be found"
)]

use std::{collections::BTreeMap, io::Cursor, sync::LazyLock};

use transcode_config::{
    contract::{
        Claim, Control, Document, Heartbeat, JobEvent, JobSpec, StatusReport, Terminal, decode, encode,
    },
    ladder::Profile,
    settings::{OverlaySettings, SourceSettings},
};
use transcode_core::message::{Parsed, Request, Rules, parse};
use transcode_media::{
    captions::cea608::{Decoder, Field},
    examine::{crop, probe, scan::Scan, structure, transport},
    package::{fragment::BoxReader, progressive, text},
    rational::Rational,
    verify::{dash, playlist},
};

/// A parser under test.
pub type Parser = fn(&[u8]);

/// All parsers, by the names of their targets and corpus folders.
pub const PARSERS: [(&str, Parser); 11] = [
    ("message", message),
    ("document", document),
    ("ffprobe", ffprobe),
    ("playlist", playlists),
    ("source_boxes", source_boxes),
    ("fragments", fragments),
    ("text", text),
    ("captions", captions),
    ("packets", packets),
    ("transport", transport),
    ("matroska", matroska),
];

const OUTPUT_ROOT: &str = "videos/";

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let profile = Profile::built_in("standard").unwrap_or_else(|| panic!("the standard profile is built in"));
    Rules {
        sources: vec![SourceSettings {
            bucket: "uploads".into(),
            prefix: "in/".into(),
            overlays: vec![OverlaySettings { bucket: "pictures".into(), prefix: "logos/".into() }],
            ..SourceSettings::default()
        }],
        profiles: BTreeMap::from([("standard".into(), std::sync::Arc::new(profile))]),
        default_profile: "standard".into(),
        output_bucket: "videos".into(),
        output_root: OUTPUT_ROOT.into(),
        max_run_seconds: 14_400,
        max_source_bytes: 1 << 34,
    }
});

/// Bodies of the jobs queue. For every accepted job the output stays below the root, and source and overlay are
/// allowed.
pub fn message(bytes: &[u8]) {
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let parsed = parse(body, &RULES, 1_700_000_000_000);
    assert_eq!(parsed, parse(body, &RULES, 1_700_000_000_000), "the same body asks for the same");
    let Parsed::Jobs(requests, _) = parsed else { return };
    for request in requests {
        let Request::Run(spec) = request else { continue };
        assert!(spec.source.bucket == "uploads" && spec.source.key.starts_with("in/"), "{spec:?}");
        if let Some(overlay) = &spec.edit.overlay {
            assert!(overlay.bucket == "pictures" && overlay.key.starts_with("logos/"), "{spec:?}");
        }
        let prefix = &spec.output.prefix;
        let inside = prefix.strip_prefix(OUTPUT_ROOT).is_some_and(|rest| rest.ends_with('/'));
        let dots = prefix.split('/').any(|segment| matches!(segment, "." | ".."));
        assert!(spec.output.bucket == "videos" && inside && !dots, "{spec:?}");
    }
}

/// Documents of the state bucket. A document that can be read is the same after writing and reading it again.
pub fn document(bytes: &[u8]) {
    same::<JobSpec>(bytes);
    same::<Claim>(bytes);
    same::<Heartbeat>(bytes);
    same::<Terminal>(bytes);
    same::<Control>(bytes);
    same::<StatusReport>(bytes);
    same::<JobEvent>(bytes);
    let _ = Control::read(bytes);
}

fn same<D: Document>(bytes: &[u8]) {
    let Ok(read) = decode::<D>(bytes) else { return };
    let written = encode(&read);
    let again = decode::<D>(&written).map(|again| encode(&again));
    assert_eq!(again.as_ref(), Ok(&written), "{} changes by being written", D::NAME);
}

/// ffprobe's report on a hostile file.
pub fn ffprobe(bytes: &[u8]) {
    let _ = probe::parse(bytes, 1 << 20);
}

/// Playlists and manifests, as the verification parses them.
pub fn playlists(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = playlist::media(text);
    let _ = playlist::master(text);
    let _ = dash::templates(text);
}

/// Box headers of a source, before any other program opens it; and the search for the index of a progressive file.
pub fn source_boxes(bytes: &[u8]) {
    let _ = structure::inspect(&mut Cursor::new(bytes));
    let _ = progressive::index(&mut Cursor::new(bytes), bytes.len() as u64);
}

/// The head of a Matroska file: the edges of its tracks. Whatever they are, the size that is left lies within the frame.
pub fn matroska(bytes: &[u8]) {
    let head = [b"\x1a\x45\xdf\xa3".as_slice(), bytes].concat();
    for file in [bytes, &head] {
        for crop in crop::read(file).unwrap_or_default() {
            let left = crop.left_of(320, 180);
            assert!(left.is_none_or(|(width, height)| width <= 320 && height <= 180), "{crop:?}");
            assert_eq!(crop.any(), left != Some((320, 180)), "{crop:?}");
        }
    }
}

/// Fragments of the encoder's output: our own bytes, but an untrusted file determined their content.
pub fn fragments(bytes: &[u8]) {
    let mut reader = BoxReader::new(Cursor::new(bytes));
    let Ok(Some(init)) = reader.init() else { return };
    let mut last = reader.position();
    while let Ok(Some(_)) = reader.fragment(&init, true) {
        assert!(reader.position() > last, "a reader that stands still never ends");
        last = reader.position();
    }
}

/// Text of a subtitle track, as ffmpeg passes it on. However long its texts are shown, they take bounded memory; the
/// track that is written reads as the same texts; and the segments hold no more than was reckoned before they were
/// written.
pub fn text(bytes: &[u8]) {
    const HOURS: u64 = 12;
    let ass = bytes.first().is_some_and(|byte| byte % 2 == 1);
    let Ok(Some(cues)) = text::read(bytes, HOURS * 3_600_000, ass) else { return };
    assert!(cues.iter().map(text::Cue::cost).sum::<usize>() <= text::MAX_BYTES);
    let mut whole = Vec::new();
    text::write_whole(&mut whole, &cues).unwrap_or_else(|error| panic!("{error}"));
    let again = text::read(whole.as_slice(), HOURS * 3_600_000, false);
    assert_eq!(again.ok().flatten().as_ref(), Some(&cues), "{}", String::from_utf8_lossy(&whole));
    // One segment after the other is in memory.
    let (mut written, mut number) = (0, 0);
    for segment in text::segments(&cues, 43_200.0) {
        let mut file = Vec::new();
        segment.write(&mut file).unwrap_or_else(|error| panic!("{error}"));
        assert!(file.starts_with(b"WEBVTT\n"));
        written += file.len() as u64;
        number += 1;
    }
    assert_eq!(number, HOURS * 60, "segments of a minute");
    assert!(written <= text::segment_bytes(&cues) + number * 64, "{written}");
}

/// Captions of CEA-608: a channel, two bytes, the next. Texts have a length and are shown one after the other.
pub fn captions(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let mut at = 0;
    for three in bytes.chunks_exact(3) {
        let &[field, first, second] = three else { continue };
        at += u64::from(field >> 1);
        let field = if field & 1 == 0 { Field::One } else { Field::Two };
        decoder.pair(field, [first, second], at);
    }
    for (name, cues) in decoder.finish(at) {
        for cue in &cues {
            assert!(cue.start < cue.end && cue.end <= at && !cue.text.is_empty(), "{name}: {cue:?}");
        }
    }
}

/// The list of a source's packets, as ffprobe prints it.
pub fn packets(bytes: &[u8]) {
    let mut scan = Scan::default();
    for line in String::from_utf8_lossy(bytes).lines() {
        scan.line(line);
    }
    let millisecond = Rational { num: 1, den: 1000 };
    for index in scan.streams().take(16) {
        let _ = scan.timing(index, millisecond);
    }
}

/// A transport stream's own tables and counters.
pub fn transport(bytes: &[u8]) {
    let _ = transport::read(bytes);
}
