//! Reads the headers of an MPEG transport or program stream: whether payloads are scrambled, by the header of a packet of
//! the transport stream (ISO/IEC 13818-1, 2.4.3.2) or of what it carries (PES packets, 2.4.3.7); and which time stamps
//! are broken, there and in FLV.
//!
//! ffmpeg passes scrambled payloads on as if they were damaged, and then finds what looks like a shorter file. This
//! module reads every header once; memory does not grow with the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use transcode_config::contract::{Failure, FailureCode, Warning};

use super::{
    probe::{NO_AUDIO, NO_SIZE, SourceInfo},
    stamps::{self, Repair, Stamps},
    tags,
};
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

/// The payloads of each stream, by the number that ffmpeg gives it (PID; in program streams 0x100 and the stream's
/// number). Empty if the file is neither a transport nor a program stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transport {
    streams: BTreeMap<u16, Payloads>,
    /// Streams whose last PES packet is scrambled.
    scrambled: BTreeSet<u16>,
    stamps: BTreeMap<u16, Stamps>,
    /// Packets of the transport stream so far.
    packets: u64,
}

/// Reads the headers of all packets.
pub fn read(mut file: impl Read) -> io::Result<Transport> {
    let mut transport = Transport::default();
    let mut block = Vec::new();
    file.by_ref().take(BLOCK).read_to_end(&mut block)?;
    if block.starts_with(tags::SIGNATURE) {
        let stamps = tags::read(block.as_slice().chain(file))?.into_iter().collect();
        return Ok(Transport { stamps, ..transport });
    }
    let begun = begin(&block);
    if begun.is_none() && !block.starts_with(&PACK) {
        return Ok(transport);
    }
    let (mut at, stride) = begun.unwrap_or((0, 0));
    loop {
        while let Some(packet) = block.get(at..).and_then(<[u8]>::first_chunk::<PACKET>) {
            at += match (begun, packet[0]) {
                (Some(_), SYNC) => {
                    transport.packet(packet);
                    transport.packets += 1;
                    stride
                }
                // Bytes were lost or inserted.
                (Some(_), _) => 1,
                (None, _) => transport.pes(packet),
            };
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
    fn packet(&mut self, packet: &[u8; PACKET]) {
        let [_, high, low, flags, ..] = *packet;
        // Marked as damaged, or without payload.
        if high & 0x80 != 0 || flags & 0x10 == 0 {
            return;
        }
        let stream = u16::from_be_bytes([high & 0x1f, low]);
        let scrambled = flags & 0xc0 != 0;
        if high & 0x40 != 0 && !scrambled {
            let start = if flags & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
            let pes = packet.get(start..).unwrap_or_default();
            if is_scrambled(pes) == Some(true) {
                self.scrambled.insert(stream);
            } else {
                self.scrambled.remove(&stream);
                if let Some((stamp, audio)) = stamps::read(pes) {
                    self.stamps.entry(stream).or_default().add(self.packets, stamp, audio);
                }
            }
        }
        self.count(stream, scrambled || self.scrambled.contains(&stream));
    }

    fn count(&mut self, stream: u16, scrambled: bool) {
        let payloads = self.streams.entry(stream).or_default();
        payloads.all += 1;
        payloads.scrambled += u64::from(scrambled);
    }

    /// Counts the PES packet of a program stream that begins here. Returns how far the next one may be.
    fn pes(&mut self, bytes: &[u8; PACKET]) -> usize {
        let [_, _, _, number, high, low, ..] = *bytes;
        let Some(scrambled) = is_scrambled(bytes) else {
            let next = bytes.get(1..).unwrap_or_default().windows(3).position(|three| three == START);
            return next.map_or(PACKET - 3, |next| next + 1);
        };
        self.count(0x100 | u16::from(number), scrambled);
        6 + usize::from(u16::from_be_bytes([high, low]))
    }

    /// The broken time stamps of the video and audio that are used, in the order of the file, with the indexes of their
    /// streams.
    pub(super) fn repairs(&self, source: &SourceInfo) -> Vec<(u32, Repair)> {
        let flv = source.is_one_of(&["flv"]);
        let number = |id: Option<u32>, tag| if flv { Some(tag) } else { u16::try_from(id?).ok() };
        let video = source.video.iter().map(|video| (video.index, number(video.id, tags::VIDEO)));
        let audio = source.audio.iter().map(|audio| (audio.index, number(audio.id, tags::AUDIO)));
        let stamps =
            video.chain(audio).filter_map(|(index, number)| Some((index, self.stamps.get(&number?)?)));
        let mut all: Vec<_> =
            stamps.flat_map(|(index, stamps)| stamps.repairs().map(move |repair| (index, repair))).collect();
        all.sort_by_key(|(_, repair)| repair.packet);
        all
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
        self.judge_unknown(source)
    }

    /// The same for streams of which ffprobe could make nothing. With another one of its kind, a scrambled stream is
    /// left out.
    fn judge_unknown(&self, source: &mut SourceInfo) -> Result<(), Failure> {
        let (no_video, no_audio) = (source.video.is_none(), source.audio.is_empty());
        let clocks = &source.clocks;
        for skipped in source.skipped.iter_mut().filter(|skipped| [NO_AUDIO, NO_SIZE].contains(&skipped.why))
        {
            let id = clocks.iter().find(|clock| clock.index == skipped.index).and_then(|clock| clock.id);
            let payloads = id.and_then(|id| self.streams.get(&u16::try_from(id).ok()?));
            let Some(payloads) = payloads.filter(|payloads| payloads.too_many()) else { continue };
            if if skipped.why == NO_SIZE { no_video } else { no_audio } {
                return Err(encrypted(*payloads).with("stream", skipped.index));
            }
            skipped.why = "it is scrambled";
        }
        Ok(())
    }
}

/// What a program stream begins with, and what every start code does.
const PACK: [u8; 4] = [0, 0, 1, 0xba];
const START: [u8; 3] = [0, 0, 1];

/// Whether the PES packet that begins here is scrambled. None if none of video or audio begins here.
fn is_scrambled(bytes: &[u8]) -> Option<bool> {
    let &[0, 0, 1, 0xbd | 0xc0..=0xef | 0xfd, _, _, flags] = bytes.first_chunk()? else { return None };
    (flags & 0xc0 == 0x80).then_some(flags & 0x30 != 0)
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
            assert!(found.all.abs_diff(all) < 2 && found.scrambled.abs_diff(half) < 2, "{stride}: {found:?}");
        }
        assert_eq!(read(&b"no such thing".repeat(1000)[..]).unwrap(), Transport::default());
    }

    #[test]
    fn what_packets_carry_may_be_scrambled_by_itself() {
        let pes = |number: u8, flags: u8| [&[0, 0, 1, number, 1, 0, flags][..], &[1; 255]].concat();
        let mut carried = packets(20, PACKET, |_| false);
        for (number, packet) in
            carried.chunks_exact_mut(PACKET).enumerate().filter(|(number, _)| number % 5 == 0)
        {
            packet[1] |= 0x40;
            packet[4..11].copy_from_slice(&pes(0xe0, if number < 10 { 0xb0 } else { 0x80 })[..7]);
        }
        let found = &read(&carried[..]).unwrap().streams[&0x102];
        assert_eq!((found.all, found.scrambled), (20, 10));

        let parts =
            [PACK.to_vec(), pes(0xe0, 0x80), pes(0xbd, 0xb0), pes(0xe0, 0x90), pes(0xbe, 0xff), vec![1; 300]];
        let found = read(&parts.concat()[..]).unwrap().streams;
        assert_eq!(found[&0x1e0], Payloads { all: 2, scrambled: 1 });
        assert_eq!(found[&0x1bd], Payloads { all: 1, scrambled: 1 });
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            read(PACK.as_slice().chain(&bytes[..])).unwrap();
            read(&bytes[..]).unwrap();
            read(packets(6, PACKET, |_| false).as_slice().chain(bytes.as_slice())).unwrap();
        }
    }
}
