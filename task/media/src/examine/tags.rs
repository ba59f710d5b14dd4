//! Reads and mends the time stamps of FLV tags (Adobe's specification of FLV 10.1, annex E.4.1). Pure but for reading.
//!
//! Recordings of live streams have single stamps that are seconds off. ffmpeg takes every stamp as it is.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::stamps::{Repair, Stamp, Stamps};

/// What an FLV file begins with.
pub(super) const SIGNATURE: &[u8] = b"FLV\x01";
/// Types of tags.
pub(super) const AUDIO: u16 = 8;
pub(super) const VIDEO: u16 = 9;
/// Length of the file's header, with the length of no tag before the first.
const HEADER: u64 = 13;
/// Length of a tag's header.
const HEAD: usize = 11;
/// Ticks of [`Stamp`] in a millisecond.
const TICKS: i64 = 90;

/// Reads the stamps of audio and video. A tag's number is its place in the file, in bytes.
pub(super) fn read(file: impl Read) -> io::Result<[(u16, Stamps); 2]> {
    let mut all = [(AUDIO, Stamps::default()), (VIDEO, Stamps::default())];
    each(file, |at, head| {
        if let Some((_, stamps)) = all.iter_mut().find(|(kind, _)| *kind == u16::from(head[0] & 0x1f)) {
            // All are times of decoding, so they never step back.
            stamps.add(at, Stamp { pts: milliseconds(head) * TICKS, dts: None }, true);
        }
        Ok(())
    })?;
    Ok(all)
}

/// Copies a file and mends it. The repairs are in the order of the file.
pub(super) fn copy(from: impl Read, mut to: impl Write, repairs: &[Repair]) -> io::Result<()> {
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut at = 0;
    for repair in repairs {
        let Some(before) = repair.packet.checked_sub(at) else { continue };
        io::copy(&mut from.by_ref().take(before), &mut to)?;
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let [top, bytes @ ..] = u32::try_from(repair.stamp.pts / TICKS).unwrap_or(0).to_be_bytes();
        head[4..7].copy_from_slice(&bytes);
        head[7] = top;
        to.write_all(&head)?;
        at = repair.packet + HEAD as u64;
    }
    io::copy(&mut from, &mut to)?;
    to.flush()
}

fn milliseconds(head: &[u8; HEAD]) -> i64 {
    i64::from(u32::from_be_bytes([head[7], head[4], head[5], head[6]]))
}

/// Goes through the tags up to the first that is cut.
fn each(file: impl Read, mut visit: impl FnMut(u64, &[u8; HEAD]) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut at = HEADER;
    if skip(&mut file, HEADER)? < HEADER {
        return Ok(());
    }
    let mut head = [0; HEAD];
    while file.read_exact(&mut head).is_ok() {
        visit(at, &head)?;
        let length = 4 + u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        if skip(&mut file, length)? < length {
            break;
        }
        at += HEAD as u64 + length;
    }
    Ok(())
}

/// Reads so many bytes and forgets them; returns how many there were.
fn skip(file: &mut impl BufRead, bytes: u64) -> io::Result<u64> {
    io::copy(&mut file.take(bytes), &mut io::sink())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tags of audio and video by turns, with these stamps in milliseconds.
    fn flv(times: &[u32]) -> Vec<u8> {
        let tag = |(number, time): (usize, &u32)| {
            let [top, a, b, c] = time.to_be_bytes();
            [
                &[if number % 2 == 0 { 8 } else { 9 }, 0, 0, 5, a, b, c, top, 0, 0, 0][..],
                &[7; 5],
                &[0, 0, 0, 16],
            ]
            .concat()
        };
        let tags: Vec<_> = times.iter().enumerate().flat_map(tag).collect();
        [SIGNATURE, &[5, 0, 0, 0, 9, 0, 0, 0, 0], &tags].concat()
    }

    #[test]
    fn single_stamps_are_mended_where_they_stand() {
        let mut times: Vec<u32> = (0..200).map(|number| 16_770_000 + number * 20).collect();
        let good = flv(&times);
        times[100] += 5000;
        times[151] -= 2000;
        let bad = flv(&times);
        let stamps = read(bad.as_slice()).unwrap();
        let repairs: Vec<_> = stamps.iter().flat_map(|(_, stamps)| stamps.repairs()).collect();
        assert_eq!(repairs.iter().map(|repair| repair.by).collect::<Vec<_>>(), [5.0, -2.0]);
        let mut mended = Vec::new();
        copy(bad.as_slice(), &mut mended, &repairs).unwrap();
        assert!(mended == good);
        assert!(read(good.as_slice()).unwrap().iter().all(|(_, stamps)| stamps.repairs().count() == 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            read([SIGNATURE, &bytes].concat().as_slice()).unwrap();
        }
    }
}
