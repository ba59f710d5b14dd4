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
    [atom(*b"ftyp", b"isom\0\0\0\0"), nested, atom(*b"mdat", &[0; 500])].concat()
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
    for missing in [129, 200, 499] {
        assert_eq!(code(&local[..local.len() - missing]), Some(FailureCode::SourceTruncated), "{missing}");
    }
    assert_eq!(ending(&local[..local.len() - 8]), Ending::Short { bytes: 8 }, "too few to be media");
    // The index at the end, and the end cut off at a box's edge.
    let unfinished = [atom(*b"ftyp", b"isom\0\0\0\0"), atom(*b"mdat", &[0; 100])].concat();
    assert_eq!(code(&unfinished), Some(FailureCode::SourceTruncated));
}

#[test]
fn an_edit_at_another_speed_is_found_and_a_pause_is_none() {
    let speed = |entries: &[u8], version: u8| {
        let list = atom(*b"elst", &[&[version, 0, 0, 0, 0, 0, 0, 2], entries].concat());
        let movie = atom(*b"moov", &atom(*b"trak", &atom(*b"edts", &list)));
        super::speed(&mut Cursor::new([atom(*b"ftyp", b"qt  \0\0\0\0"), movie].concat())).unwrap()
    };
    let pause = [&[0, 0, 0, 9][..], &[0xff; 4], &[0, 0, 0, 0]].concat();
    let entry = |rate: [u8; 4]| [&[0, 0, 0, 9, 0, 0, 0, 0][..], &rate].concat();
    assert_eq!(speed(&[pause.clone(), entry([0, 1, 0, 0])].concat(), 0), None);
    assert_eq!(speed(&[pause, entry([0, 0, 0x40, 0])].concat(), 0), Some(0.25));
    assert_eq!(speed(&[&[0; 16][..], &[0, 0, 0x80, 0]].concat(), 1), Some(0.5));
    assert_eq!(speed(&[0; 7], 0), None);
}

#[test]
fn media_in_another_file_is_an_external_reference() {
    assert_eq!(code(&movie(&atom(*b"url ", b"\0\0\0\0http://x/\0"))), Some(FailureCode::ExternalReference));
    assert_eq!(code(&movie(&atom(*b"alis", &[0; 40]))), Some(FailureCode::ExternalReference));
}

#[test]
fn matroska_and_riff_lengths_are_compared_with_the_file() {
    // EBML header of 3 bytes, Segment of 256 bytes.
    let mkv = [&b"\x1a\x45\xdf\xa3\x83\0\0\0\x18\x53\x80\x67\x41\x00"[..], &[0; 256]].concat();
    assert_eq!(code(&mkv), None);
    assert_eq!(ending(&mkv), Ending::Whole { listed_frames: None });
    assert_eq!(code(&mkv[..mkv.len() - 129]), Some(FailureCode::SourceTruncated));
    let live = [&b"\x1a\x45\xdf\xa3\x83\0\0\0\x18\x53\x80\x67\xff"[..], &[0; 9]].concat();
    assert_eq!(code(&live), None, "an unknown length says nothing");
    let wav = [&b"RIFF\x40\x01\0\0WAVEfmt "[..], &[0; 312]].concat();
    assert_eq!(code(&wav), None);
    for forgotten in [8, 44, 128] {
        assert_eq!(ending(&wav[..wav.len() - forgotten]), Ending::Short { bytes: forgotten as u64 });
    }
    assert_eq!(code(&wav[..wav.len() - 129]), Some(FailureCode::SourceTruncated));
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
    let both = [first, chunk(b"RIFF", &[&b"AVIX"[..], &[0; 300]].concat())].concat();
    assert!(matches!(ending(&both), Ending::Whole { .. }));
    assert_eq!(code(&both[..both.len() - 200]), Some(FailureCode::SourceTruncated), "its second part is cut");
}

#[test]
fn flv_and_asf_say_where_they_end() {
    let tag = [&b"\x09\0\0\x05"[..], &[0; 12], &16_u32.to_be_bytes()].concat();
    let flv = [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tag, &tag].concat();
    assert!(matches!(ending(&flv), Ending::Whole { .. }));
    assert_eq!(ending(&flv[..flv.len() - 9]), Ending::Unknown);
    // Packets of 10 bytes behind a header of 114; the file has 164.
    let asf = |size: u64, packets: u64| {
        let properties = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65";
        let header = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
        let other = [&[7; 16][..], &30_u64.to_le_bytes(), &[0; 6]].concat();
        [
            &header[..],
            &94_u64.to_le_bytes(),
            &[0; 6],
            &other,
            properties,
            &104_u64.to_le_bytes(),
            &[0; 16],
            &size.to_le_bytes(),
            &[0; 8],
            &packets.to_le_bytes(),
            &[0; 28],
            &10_u32.to_le_bytes(),
            &10_u32.to_le_bytes(),
            &[0; 4],
        ]
        .concat()
    };
    assert!(matches!(ending(&asf(164, 2)), Ending::Whole { .. }));
    assert_eq!(code(&asf(1000, 3)), Some(FailureCode::SourceTruncated));
    assert_eq!(ending(&asf(1000, 2)), Ending::Short { bytes: 836 }, "all packets are there");
    assert_eq!(ending(&asf(0, 2)), Ending::Unknown, "it was written without seeking back");
}

#[test]
fn a_matroska_whose_last_element_is_whole_lacks_nothing() {
    let clusters = |length: u8, last: u8| {
        let cluster = |size: u8| [&[0x1f, 0x43, 0xb6, 0x75, 0x80 | size][..], &vec![0; size.into()]].concat();
        [&b"\x1a\x45\xdf\xa3\x83\0\0\0\x18\x53\x80\x67\x44"[..], &[length], &cluster(100), &cluster(last)]
            .concat()
    };
    // A length of 1,024 and more, and elements of 205 bytes.
    assert_eq!(ending(&clusters(0, 95)), Ending::Short { bytes: 1024 - 205 });
    assert_eq!(
        code(&clusters(0xff, 95)),
        Some(FailureCode::SourceTruncated),
        "another cluster may be missing"
    );
    let mut cut = clusters(0, 95);
    cut.pop();
    assert_eq!(code(&cut), Some(FailureCode::SourceTruncated), "the last element is cut");
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
