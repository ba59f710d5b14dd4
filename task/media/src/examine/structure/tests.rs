use std::io::Cursor;

use proptest::prelude::*;
use transcode_config::contract::FailureCode;

use super::{super::ending::Ending, inspect};

fn code(bytes: &[u8]) -> Option<FailureCode> {
    inspect(&mut Cursor::new(bytes)).unwrap().err().map(|failure| failure.code)
}

fn ending(bytes: &[u8]) -> Ending {
    inspect(&mut Cursor::new(bytes)).unwrap().unwrap()
}

fn atom(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes(), &kind, body].concat()
}

fn movie(dref_entry: &[u8]) -> Vec<u8> {
    let dref = atom(*b"dref", &[&[0, 0, 0, 0, 0, 0, 0, 1], dref_entry].concat());
    let nested =
        [b"dinf", b"minf", b"mdia", b"trak", b"moov"].iter().fold(dref, |inner, kind| atom(**kind, &inner));
    [atom(*b"ftyp", b"isom\0\0\0\0"), nested, atom(*b"mdat", &[0; 100])].concat()
}

#[test]
fn texts_images_and_nothing_are_refused_by_name() {
    for (bytes, expected) in [
        (&b""[..], FailureCode::Empty),
        (b"just some words\n", FailureCode::NotMedia),
        ("Gr\u{fc}\u{df}e, only text".as_bytes(), FailureCode::NotMedia),
        (b"\xef\xbb\xbf\n#EXTM3U\n#EXTINF:1,\nhttp://169.254.170.2/x\n", FailureCode::ExternalReference),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", FailureCode::ExternalReference),
        (b"<?xml version=\"1.0\"?>\n<MPD></MPD>", FailureCode::ExternalReference),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", FailureCode::StillImage),
        (b"GIF89a\x01\0\x01\0\x80", FailureCode::StillImage),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", FailureCode::StillImage),
        (b"\0\0\0\x18ftypheic\0\0\0\0", FailureCode::StillImage),
    ] {
        assert_eq!(code(bytes), Some(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_movie_cut_anywhere_is_truncated() {
    let local = movie(&atom(*b"url ", &[0, 0, 0, 1]));
    assert_eq!(code(&local), None);
    for missing in [17, 50, 99] {
        assert_eq!(code(&local[..local.len() - missing]), Some(FailureCode::SourceTruncated), "{missing}");
    }
    assert_eq!(ending(&local[..local.len() - 8]), Ending::Short { bytes: 8 }, "too few to be media");
    // The index at the end, and the end cut off at a box's edge.
    let unfinished = [atom(*b"ftyp", b"isom\0\0\0\0"), atom(*b"mdat", &[0; 100])].concat();
    assert_eq!(code(&unfinished), Some(FailureCode::SourceTruncated));
}

#[test]
fn media_in_another_file_is_an_external_reference() {
    assert_eq!(code(&movie(&atom(*b"url ", b"\0\0\0\0http://x/\0"))), Some(FailureCode::ExternalReference));
    assert_eq!(code(&movie(&atom(*b"alis", &[0; 40]))), Some(FailureCode::ExternalReference));
}

#[test]
fn matroska_and_riff_lengths_are_compared_with_the_file() {
    // EBML header of 3 bytes, Segment of 64 bytes.
    let mkv = [&b"\x1a\x45\xdf\xa3\x83\0\0\0\x18\x53\x80\x67\x40\x40"[..], &[0; 64]].concat();
    assert_eq!(code(&mkv), None);
    assert_eq!(ending(&mkv), Ending::Whole { listed_frames: None });
    assert_eq!(code(&mkv[..mkv.len() - 17]), Some(FailureCode::SourceTruncated));
    let live = [&b"\x1a\x45\xdf\xa3\x83\0\0\0\x18\x53\x80\x67\xff"[..], &[0; 9]].concat();
    assert_eq!(code(&live), None, "an unknown length says nothing");
    let wav = [&b"RIFF\x40\0\0\0WAVEfmt "[..], &[0; 56]].concat();
    assert_eq!(code(&wav), None);
    assert_eq!(ending(&wav[..wav.len() - 8]), Ending::Short { bytes: 8 }, "a header counted in");
    assert_eq!(code(&wav[..wav.len() - 17]), Some(FailureCode::SourceTruncated));
}

fn chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [kind, &length.to_le_bytes(), body, if body.len() % 2 == 1 { b"\0" } else { b"" }].concat()
}

#[test]
fn every_part_of_an_avi_is_looked_at_and_empty_frames_are_counted() {
    let entry = |kind: &[u8]| [kind, &[0; 12]].concat();
    let index = [entry(b"00dc"), entry(b"01wb"), entry(b"00dc"), entry(b"02dc"), entry(b"00db")].concat();
    let first = chunk(b"RIFF", &[&b"AVI "[..], &chunk(b"LIST", &[0; 41]), &chunk(b"idx1", &index)].concat());
    assert_eq!(ending(&first), Ending::Whole { listed_frames: Some(3) });
    let both = [first, chunk(b"RIFF", &[&b"AVIX"[..], &[0; 60]].concat())].concat();
    assert!(matches!(ending(&both), Ending::Whole { .. }));
    assert_eq!(code(&both[..both.len() - 40]), Some(FailureCode::SourceTruncated), "its second part is cut");
}

#[test]
fn flv_and_asf_say_where_they_end() {
    let tag = [&b"\x09\0\0\x05"[..], &[0; 12], &16_u32.to_be_bytes()].concat();
    let flv = [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tag, &tag].concat();
    assert!(matches!(ending(&flv), Ending::Whole { .. }));
    assert_eq!(ending(&flv[..flv.len() - 9]), Ending::Unknown);
    let asf = |size: u64| {
        let properties = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65";
        let header = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
        let other = [&[7; 16][..], &30_u64.to_le_bytes(), &[0; 6]].concat();
        [
            &header[..],
            &[0; 14],
            &other,
            properties,
            &104_u64.to_le_bytes(),
            &[0; 16],
            &size.to_le_bytes(),
            &[0; 56],
        ]
        .concat()
    };
    assert!(matches!(ending(&asf(164)), Ending::Whole { .. }));
    assert_eq!(code(&asf(1000)), Some(FailureCode::SourceTruncated));
    assert_eq!(ending(&asf(0)), Ending::Unknown, "it was written without seeking back");
}

#[test]
fn two_movies_in_one_file_are_not_half_of_them() {
    let one = movie(&atom(*b"url ", &[0, 0, 0, 1]));
    assert_eq!(code(&[one.clone(), one].concat()), Some(FailureCode::SourceDiscontinuous));
}

/// Counts how often it is read at another place: once for each box.
struct Counted(Cursor<Vec<u8>>, usize);

impl std::io::Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

impl std::io::Seek for Counted {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.1 += 1;
        self.0.seek(to)
    }
}

#[test]
fn boxes_without_end_are_not_all_read() {
    let many =
        [atom(*b"ftyp", b"isom\0\0\0\0"), atom(*b"moov", &[]), atom(*b"free", &[]).repeat(600_000)].concat();
    let mut file = Counted(Cursor::new(many), 0);
    inspect(&mut file).unwrap().unwrap();
    assert!((400_000..400_010).contains(&file.1), "{}", file.1);
}

#[test]
fn boxes_in_boxes_without_end_are_not_followed() {
    const DEEP: u32 = 200_000;
    let boxes = (1..=DEEP).rev().flat_map(|left| [(8 * left).to_be_bytes(), *b"moov"].concat());
    assert_eq!(code(&boxes.collect::<Vec<_>>()), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_hang(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        inspect(&mut Cursor::new(&bytes)).unwrap().ok();
    }

    #[test]
    fn no_damaged_movie_makes_it_panic(at in 0usize..200, value in any::<u8>(), cut in 0usize..200) {
        let mut bytes = movie(&atom(*b"url ", &[0, 0, 0, 1]));
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len().saturating_sub(cut).max(1));
        inspect(&mut Cursor::new(&bytes)).unwrap().ok();
    }
}
