use mp4_atom::{Atom, Decode, ReadAtom, ReadFrom};

use super::*;

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len() + 8).unwrap().to_be_bytes(), &kind[..], body].concat()
}

/// An `ftyp` and a `moov` with one turned track, as far as matters here.
fn encoded() -> Vec<u8> {
    let mut head = vec![0; 84];
    head[40..44].copy_from_slice(&[0, 0, 0, 0]);
    head[44..48].copy_from_slice(&(1_u32 << 16).to_be_bytes());
    let track = boxed(*b"trak", &[boxed(*b"tkhd", &head), boxed(*b"mdia", &[7; 5])].concat());
    [boxed(*b"ftyp", b"isomzzzz"), boxed(*b"moov", &[boxed(*b"mvhd", &[0; 100]), track].concat())].concat()
}

#[test]
fn the_edit_list_lies_behind_the_head_and_the_sizes_around_it_grow() {
    let bytes = published(&encoded(), 800).unwrap();
    let movie = child(&bytes, 0..bytes.len(), Moov::KIND).unwrap();
    assert_eq!(movie.end, bytes.len());
    let track = child(&bytes, inside(&movie), Trak::KIND).unwrap();
    assert_eq!(track.end, bytes.len());
    let edits = child(&bytes, inside(&track), Edts::KIND).unwrap();
    assert_eq!(child(&bytes, inside(&track), Tkhd::KIND).unwrap().end, edits.start);
    assert_eq!(&bytes[edits.end + 4..edits.end + 8], b"mdia");
    let read = Edts::read_atom(
        &mp4_atom::Header::read_from(&mut &bytes[edits.clone()]).unwrap(),
        &mut &bytes[inside(&edits)],
    );
    let entry = read.unwrap().elst.unwrap().entries[0].clone();
    assert_eq!((entry.media_time, entry.segment_duration, entry.media_rate), (Some(800), 0, 1.into()));
}

#[test]
fn a_track_that_begins_at_0_gets_no_edit_list_and_every_track_is_upright() {
    let bytes = published(&encoded(), 0).unwrap();
    let movie = child(&bytes, 0..bytes.len(), Moov::KIND).unwrap();
    let track = child(&bytes, inside(&movie), Trak::KIND).unwrap();
    assert_eq!(child(&bytes, inside(&track), Edts::KIND), None);
    let head = child(&bytes, inside(&track), Tkhd::KIND).unwrap();
    assert_eq!(&bytes[head.start + 48..head.start + 56], &[0, 1, 0, 0, 0, 0, 0, 0]);
    assert!(Ftyp::decode(&mut bytes.as_slice()).unwrap().compatible_brands.contains(&FourCC::new(b"cmfc")));
}

#[test]
fn what_has_no_track_is_refused() {
    for bytes in [vec![], boxed(*b"moov", &[]), boxed(*b"moov", &boxed(*b"trak", &[])), vec![0xff; 40]] {
        assert!(published(&bytes, 1).is_err(), "{bytes:?}");
    }
}
