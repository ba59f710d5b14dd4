//! Reads the packet headers of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3.2): whether payloads are scrambled.
//!
//! ffmpeg passes scrambled payloads on as if they were damaged, and then finds what looks like a shorter file. This
//! module reads every header once; memory does not grow with the file.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use transcode_config::contract::{Failure, FailureCode, Warning};

use super::probe::SourceInfo;
use crate::rational::float;

/// Length of a packet.
pub(super) const PACKET: usize = 188;
/// First byte of every packet.
pub(super) const SYNC: u8 = 0x47;
/// Distances between packets: plain, with a time code in front (M2TS), with check bytes behind.
const STRIDES: [usize; 3] = [PACKET, 192, 204];
/// Packets that must begin in a row before the file counts as a transport stream.
const IN_A_ROW: usize = 5;
/// Bytes that are read at a time: whole packets of every kind.
pub(super) const BLOCK: u64 = 188 * 192 * 17 * 2;
/// Largest part of a stream's packets that may be scrambled: packets before a receiver has its key, and damage.
const ALLOWED: f64 = 0.01;

/// Packets with a payload, and how many of them are scrambled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Payloads {
    pub all: u64,
    /// The scrambled ones.
    pub scrambled: u64,
}

impl Payloads {
    fn too_many(self) -> bool {
        float(self.scrambled) > float(self.all) * ALLOWED
    }
}

/// The payloads of each stream, by the number that packets carry (PID). Empty if the file is no transport stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transport {
    streams: BTreeMap<u16, Payloads>,
}

/// Reads the headers of all packets.
pub fn read(mut file: impl Read) -> io::Result<Transport> {
    let mut transport = Transport::default();
    let mut block = Vec::new();
    file.by_ref().take(BLOCK).read_to_end(&mut block)?;
    let Some((mut at, stride)) = begin(&block) else { return Ok(transport) };
    loop {
        while let Some(&[first, high, low, flags]) = block.get(at..).and_then(<[u8]>::first_chunk) {
            if first == SYNC {
                transport.packet([high, low, flags]);
                at += stride;
            } else {
                // Bytes were lost or inserted.
                at += 1;
            }
        }
        let used = at.min(block.len());
        block.drain(..used);
        at -= used;
        if file.by_ref().take(BLOCK).read_to_end(&mut block)? == 0 {
            return Ok(transport);
        }
    }
}

/// Where the first packet begins, and the distance from one packet to the next.
pub(super) fn begin(block: &[u8]) -> Option<(usize, usize)> {
    let fits = |at: usize, stride: usize| (0..IN_A_ROW).all(|n| block.get(at + n * stride) == Some(&SYNC));
    STRIDES.into_iter().find_map(|stride| (0..stride).find(|&at| fits(at, stride)).map(|at| (at, stride)))
}

impl Transport {
    fn packet(&mut self, [high, low, flags]: [u8; 3]) {
        // Marked as damaged, or without payload.
        if high & 0x80 != 0 || flags & 0x10 == 0 {
            return;
        }
        let payloads = self.streams.entry(u16::from_be_bytes([high & 0x1f, low])).or_default();
        payloads.all += 1;
        payloads.scrambled += u64::from(flags & 0xc0 != 0);
    }

    /// Replaces ffprobe's failure by a refusal where the streams are scrambled.
    pub fn explain(&self, failure: Failure) -> Failure {
        let scrambled = self.streams.values().copied().filter(|payloads| payloads.too_many());
        match scrambled.max_by_key(|payloads| payloads.scrambled) {
            Some(payloads) if failure.code != FailureCode::Interrupted => encrypted(payloads),
            _ => failure,
        }
    }

    /// Refuses a file whose video or audio is scrambled; a small scrambled part is only a warning.
    pub fn judge(&self, source: &mut SourceInfo) -> Result<(), Failure> {
        let mut little = Vec::new();
        let streams = source.video.iter().map(|video| (video.index, video.id));
        for (index, id) in streams.chain(source.audio.iter().map(|audio| (audio.index, audio.id))) {
            let payloads = id.and_then(|id| self.streams.get(&u16::try_from(id).ok()?));
            match payloads {
                Some(payloads) if payloads.too_many() => {
                    return Err(encrypted(*payloads).with("stream", index));
                }
                Some(payloads) if payloads.scrambled > 0 => little.push((index, *payloads)),
                _ => {}
            }
        }
        for (index, Payloads { all, scrambled }) in little {
            source.warn(
                Warning::Scrambled,
                format!("{scrambled} of {all} packets of stream {index} cannot be read"),
            );
        }
        Ok(())
    }
}

fn encrypted(payloads: Payloads) -> Failure {
    Failure::new(FailureCode::Encrypted, "a stream of the file is scrambled")
        .with("packets_scrambled", payloads.scrambled)
        .with("packets", payloads.all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(count: usize, stride: usize, scrambled: impl Fn(usize) -> bool) -> Vec<u8> {
        let packet = |number| {
            let mut packet = vec![0; stride];
            packet[..4].copy_from_slice(&[SYNC, 1, 2, if scrambled(number) { 0x90 } else { 0x10 }]);
            packet
        };
        (0..count).flat_map(packet).collect()
    }

    #[test]
    fn scrambled_packets_are_counted_at_every_distance_and_behind_lost_bytes() {
        let count = usize::try_from(BLOCK).unwrap() / PACKET + 100;
        for stride in STRIDES {
            let mut bytes = packets(count, stride, |number| number >= count / 2);
            let cut = stride * 1000 + 50;
            bytes.drain(cut..cut + 70);
            let found = read(b"junk".as_slice().chain(bytes.as_slice())).unwrap().streams[&0x102];
            let (all, half) = (u64::try_from(count - 1).unwrap(), u64::try_from(count - count / 2).unwrap());
            assert!(found.all.abs_diff(all) < 2 && found.scrambled == half, "{stride}: {found:?}");
        }
        assert_eq!(read(&b"no such thing".repeat(1000)[..]).unwrap(), Transport::default());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            read(&bytes[..]).unwrap();
            read(packets(6, PACKET, |_| false).as_slice().chain(bytes.as_slice())).unwrap();
        }
    }
}
