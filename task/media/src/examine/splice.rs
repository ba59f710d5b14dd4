//! Gives a video of a transport stream that goes on under another number (PID) the number that it began with, and broken
//! time stamps their right values.
//!
//! ffmpeg decodes each number as a stream of its own. With one number the parts are one stream whose parameters may change,
//! as in any recording; nothing is decoded or encoded for it. The headers of packets are rewritten, and the tables that
//! list the numbers (ISO/IEC 13818-1, 2.4.3.2 and 2.4.4); everything else stays where it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
};

use super::{
    stamps::{self, Repair, Stamp},
    transport::{BLOCK, PACKET, SYNC, begin},
};

/// Largest number of a stream.
const NUMBERS: u16 = 0x1fff;
/// The number of the table of programmes.
const PROGRAMMES: u16 = 0;

/// Which numbers become which, and which packets get other time stamps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splice {
    numbers: BTreeMap<u16, u16>,
    stamps: BTreeMap<u64, Stamp>,
}

impl Splice {
    /// Each pair: the number of a later part, and the number of the first one. Pairs that no transport stream can
    /// have are ignored.
    pub fn new(pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let number = |id: u32| u16::try_from(id).ok().filter(|&id| id < NUMBERS);
        let pair = |(later, first)| Some((number(later)?, number(first)?));
        Self { numbers: pairs.into_iter().filter_map(pair).collect(), stamps: BTreeMap::new() }
    }

    /// With these repairs.
    pub(super) fn repairing<'a>(self, repairs: impl IntoIterator<Item = &'a Repair>) -> Self {
        let stamps = repairs.into_iter().map(|repair| (repair.packet, repair.stamp)).collect();
        Self { stamps, ..self }
    }

    /// Whether nothing would be changed.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.stamps.is_empty()
    }

    fn of(&self, number: u16) -> u16 {
        self.numbers.get(&number).copied().unwrap_or(number)
    }

    /// Copies a transport stream and rewrites it. A file of another kind is copied as it is.
    pub fn copy(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        let mut state = State::default();
        let mut block = Vec::new();
        from.by_ref().take(BLOCK).read_to_end(&mut block)?;
        let Some((mut at, stride)) = begin(&block) else {
            to.write_all(&block)?;
            io::copy(&mut from, &mut to)?;
            return to.flush();
        };
        loop {
            while let Some(packet) = block.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<PACKET>) {
                if packet[0] == SYNC {
                    self.packet(packet, &mut state);
                    at += stride;
                } else {
                    at += 1;
                }
            }
            let used = at.min(block.len());
            to.write_all(block.get(..used).unwrap_or_default())?;
            block.drain(..used);
            at -= used;
            if from.by_ref().take(BLOCK).read_to_end(&mut block)? == 0 {
                to.write_all(&block)?;
                return to.flush();
            }
        }
    }

    fn packet(&self, packet: &mut [u8; PACKET], state: &mut State) {
        let [_, high, low, flags, ..] = *packet;
        let number = u16::from_be_bytes([high & 0x1f, low]);
        let starts = high & 0x40 != 0;
        let payload = if flags & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
        if let Some(stamp) = self.stamps.get(&state.packets) {
            stamps::write(packet.get_mut(payload..).unwrap_or_default(), *stamp);
        }
        state.packets += 1;
        if starts && (number == PROGRAMMES || state.tables.contains(&number)) {
            let body = packet.get_mut(payload..).unwrap_or_default();
            let section = body.first().map_or(0, |&pointer| 1 + usize::from(pointer));
            self.table(body.get_mut(section..).unwrap_or_default(), state);
        }
        let joined = self.of(number);
        let [new_high, new_low] = joined.to_be_bytes();
        (packet[1], packet[2]) = (high & 0xe0 | new_high, new_low);
        if joined != number || self.numbers.values().any(|&first| first == number) {
            packet[3] = flags & 0xf0 | state.count(joined, number, flags);
        }
    }

    /// Rewrites a section that lists streams, and takes note of one that lists such tables. One that does not end in
    /// the packet is left as it is: it then lists a stream without packets.
    fn table(&self, section: &mut [u8], state: &mut State) {
        let length =
            section.first_chunk().map_or(0, |&[_, high, low]| u16::from_be_bytes([high & 0x0f, low]));
        let Some(section) = section.get_mut(..3 + usize::from(length)).filter(|section| section.len() >= 16)
        else {
            return;
        };
        let end = section.len() - 4;
        match section.first() {
            Some(0) => {
                for entry in section.get(8..end).unwrap_or_default().as_chunks::<4>().0 {
                    state.tables.insert(u16::from_be_bytes([entry[2] & 0x1f, entry[3]]));
                }
            }
            Some(2) => {
                self.replace(section, 8);
                let information = usize::from(u16::from_be_bytes([section[10] & 0x0f, section[11]]));
                let mut at = 12 + information;
                while at + 5 <= end {
                    self.replace(section, at + 1);
                    at += 5 + usize::from(u16::from_be_bytes([section[at + 3] & 0x0f, section[at + 4]]));
                }
                let sum = checksum(&section[..end]).to_be_bytes();
                section[end..].copy_from_slice(&sum);
            }
            _ => {}
        }
    }

    /// Replaces the number at `at`, whose upper three bits are something else.
    fn replace(&self, bytes: &mut [u8], at: usize) {
        if let Some([high, low]) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
            let [new_high, new_low] = self.of(u16::from_be_bytes([*high & 0x1f, *low])).to_be_bytes();
            (*high, *low) = (*high & 0xe0 | new_high, new_low);
        }
    }
}

/// What is known of the packets so far.
#[derive(Debug, Default)]
struct State {
    packets: u64,
    /// Numbers of the tables that list the streams of a programme.
    tables: BTreeSet<u16>,
    /// For each joined number: the one that its packets have now, its last counter, and what is added to counters.
    counters: BTreeMap<u16, (u16, u8, u8)>,
}

impl State {
    /// The counter of a packet: those of the parts go on without a step, which would count as damage.
    fn count(&mut self, joined: u16, number: u16, flags: u8) -> u8 {
        let (now, last, added) =
            self.counters.entry(joined).or_insert((number, flags.wrapping_sub(1) & 0x0f, 0));
        if *now != number {
            let due = if flags & 0x10 == 0 { *last } else { last.wrapping_add(1) };
            (*now, *added) = (number, due.wrapping_sub(flags) & 0x0f);
        }
        *last = flags.wrapping_add(*added) & 0x0f;
        *last
    }
}

/// The checksum of a section (ISO/IEC 13818-1, annex A).
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet with a payload.
    fn packet(number: u16, counter: u8, body: &[u8]) -> Vec<u8> {
        let [high, low] = number.to_be_bytes();
        let start = if body.is_empty() { 0 } else { 0x40 };
        let mut packet = [&[SYNC, high | start, low, 0x10 | counter], body].concat();
        packet.resize(PACKET, 0xff);
        packet
    }

    fn section(table: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len() + 9).unwrap();
        let head = [&[table, 0xb0, length, 0, 1, 0xc1, 0, 0], body].concat();
        let sum = checksum(&head).to_be_bytes();
        // The pointer to the section comes first.
        [&[0], &head[..], &sum].concat()
    }

    fn programmes() -> Vec<u8> {
        packet(0, 0, &section(0, &[0, 1, 0xf0, 0x00]))
    }

    /// The streams of a programme: a video, and audio under 0x101.
    fn streams(video: u16) -> Vec<u8> {
        let [high, low] = video.to_be_bytes();
        let clock = [0xe0 | high, low, 0xf0, 0];
        packet(
            0x1000,
            0,
            &section(2, &[&clock[..], &[0x1b, 0xe0 | high, low, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0]].concat()),
        )
    }

    fn spliced(from: &[u8]) -> Vec<u8> {
        let mut to = Vec::new();
        Splice::new([(0x200, 0x100)]).copy(from, &mut to).unwrap();
        to
    }

    #[test]
    fn the_parts_get_one_number_in_packets_and_tables_and_count_on() {
        let part = |number, from: u8| {
            (from..from + 3).flat_map(move |count| packet(number, count & 15, &[])).collect::<Vec<_>>()
        };
        let from =
            [programmes(), streams(0x100), part(0x100, 3), streams(0x200), part(0x200, 14), part(0x101, 0)]
                .concat();
        let wanted =
            [programmes(), streams(0x100), part(0x100, 3), streams(0x100), part(0x100, 6), part(0x101, 0)]
                .concat();
        assert_eq!(spliced(&from), wanted);
    }

    #[test]
    fn a_table_of_a_recorder_has_this_checksum() {
        // A table of programmes as ffmpeg writes it.
        let table = [0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0];
        assert_eq!(checksum(&table), 0x2ab1_04b2);
    }

    #[test]
    fn long_files_with_other_distances_keep_their_length() {
        let count = usize::try_from(BLOCK).unwrap() / PACKET + 50;
        for extra in [0, 4, 16] {
            let packets = (0..count).flat_map(|_| [packet(0x200, 0, &[]), vec![7; extra]].concat());
            let from: Vec<_> = b"junk".iter().copied().chain(packets).chain(*b"end").collect();
            let to = spliced(&from);
            assert_eq!(to.len(), from.len());
            assert_eq!(to.windows(3).filter(|bytes| bytes == &[SYNC, 1, 0]).count(), count);
        }
        assert_eq!(spliced(b"no such thing"), b"no such thing");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_change_their_number(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000), body in proptest::collection::vec(any::<u8>(), 1..184),
        ) {
            let from = [(0..6).flat_map(|_| [programmes(), packet(0x1000, 0, &body)].concat()).collect(), bytes].concat();
            assert_eq!(spliced(&from).len(), from.len());
        }
    }
}
