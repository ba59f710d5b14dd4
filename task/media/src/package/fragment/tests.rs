use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const KEY: u32 = KEY_FRAME;

fn sample(size: u32, flags: u32, offset: i64) -> Sample {
    Sample { size, duration: 512, flags, offset }
}

fn init() -> Init {
    let codec = Codec::Unknown(FourCC::new(b"none"), Vec::new());
    Init {
        bytes: Vec::new(),
        timescale: 12_800,
        codec,
        shift: Some(0),
        rotated: false,
        defaults: Trex::default(),
    }
}

fn written(samples: &[Sample]) -> Vec<u8> {
    let total: u32 = samples.iter().map(|sample| sample.size).sum();
    let mut bytes = segment_type().unwrap();
    write(&mut bytes, 1, 7, samples, &vec![9; total as usize]).unwrap();
    bytes
}

#[test]
fn what_is_written_is_read_back() {
    for samples in [
        vec![sample(10, KEY, 0), sample(3, NON_SYNC, 1024), sample(4, NON_SYNC, -512)],
        vec![sample(10, KEY, 0)],
        vec![sample(10, KEY, 0), sample(3, KEY, 0)],
        vec![sample(1, NON_SYNC, 0), sample(3, KEY, 0), Sample { duration: 9, ..sample(2, 5, 0) }],
    ] {
        let bytes = written(&samples);
        let mut reader = BoxReader::new(Cursor::new(&bytes));
        let fragment = reader.fragment(&init(), true).unwrap().unwrap();
        assert_eq!((fragment.start, &fragment.samples), (7, &samples));
        assert_eq!(fragment.data.len(), samples.iter().map(|sample| sample.size as usize).sum::<usize>());
        assert_eq!(usize::try_from(fragment.bytes).unwrap() + segment_type().unwrap().len(), bytes.len());
        assert!(reader.fragment(&init(), true).unwrap().is_none());
    }
}

#[test]
fn a_fragment_is_read_only_when_it_is_all_there() {
    let bytes = written(&[sample(10, KEY, 0), sample(30, NON_SYNC, 0)]);
    for length in 0..bytes.len() {
        let mut reader = BoxReader::new(Cursor::new(&bytes[..length]));
        assert!(reader.fragment(&init(), true).unwrap().is_none(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn sample_groups_that_are_claimed_and_not_there_are_refused() {
    for version in 0..=3_u8 {
        let movie = |count: u32| {
            let fields = vec![0; 4 * usize::from(version.min(2))];
            let body = [&[version, 0, 0, 0], &b"roll"[..], &fields, &count.to_be_bytes()].concat();
            let group = [&u32::try_from(body.len() + 8).unwrap().to_be_bytes(), &b"sgpd"[..], &body].concat();
            [&u32::try_from(group.len() + 8).unwrap().to_be_bytes(), &b"moov"[..], &group].concat()
        };
        assert!(groups_are_few(&movie(2)), "version {version}");
        assert!(!groups_are_few(&movie(1 << 24)), "version {version}");
        let refused = BoxReader::new(Cursor::new(movie(1 << 24))).init().unwrap_err();
        assert!(refused.to_string().contains("sample groups"), "{refused}");
    }
}

#[test]
fn a_box_larger_than_any_group_of_pictures_is_not_read() {
    use std::io::Write;
    let mut file = tempfile::tempfile().unwrap();
    let size: u32 = (256 << 20) + 9;
    file.write_all(&[&size.to_be_bytes(), &b"moov"[..]].concat()).unwrap();
    // Nothing but a length: the file system has no byte of it.
    file.set_len(size.into()).unwrap();
    let refused = BoxReader::new(file).init().unwrap_err();
    assert!(refused.to_string().contains("larger than a fragment"), "{refused}");
}

proptest! {
    #[test]
    fn damaged_boxes_are_errors_not_panics(at in 0usize..200, value in any::<u8>()) {
        let mut bytes = written(&[sample(10, KEY, 0), sample(30, NON_SYNC, 4)]);
        let at = at % bytes.len();
        bytes[at] = value;
        let mut reader = BoxReader::new(Cursor::new(&bytes));
        let _ = reader.fragment(&init(), true);
        let _ = BoxReader::new(Cursor::new(&bytes)).init();
    }

    #[test]
    fn random_boxes_are_errors_not_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let moov = [&u32::try_from(bytes.len() + 8).unwrap().to_be_bytes(), &b"moov"[..], &bytes].concat();
        let _ = BoxReader::new(Cursor::new(&moov)).init();
        let _ = BoxReader::new(Cursor::new(&bytes)).fragment(&init(), false);
    }
}
