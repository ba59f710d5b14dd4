//! The jobs that went live under each output prefix, and whether a newer one was replaced by an older one (S17).
//!
//! The pointer's serial number gives the order, whatever the order in which the logs of several controllers are read.

use std::collections::BTreeMap;

use transcode_core::protocol::order::by_sequencer;

use super::{line::Pointer, totals::MAX_KNOWN};

/// The live job of a serial number, and the sequencer of its upload.
type Live = (String, Option<String>);

/// All live jobs, by pointer and serial number.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    live: BTreeMap<String, BTreeMap<u64, Live>>,
    known: usize,
}

impl Prefixes {
    /// A job went live. Returns the violation, if it is one, and the number of entries that were forgotten to make
    /// room.
    pub(super) fn live(&mut self, job: String, pointer: Pointer) -> (Vec<String>, u64) {
        let forgotten = if self.known >= MAX_KNOWN { self.known as u64 } else { 0 };
        if forgotten > 0 {
            *self = Self::default();
        }
        let Pointer { key, serial, sequencer } = pointer;
        let there = self.live.entry(key.clone()).or_default();
        let mut wrong = Vec::new();
        if let Some((other, _)) = there.get(&serial) {
            if *other != job {
                wrong.push(format!("{key}: jobs {other} and {job} were both live as number {serial}"));
            }
            return (wrong, forgotten);
        }
        if let Some(own) = &sequencer {
            let told = |(number, (other, sequencer)): (&u64, &Live)| {
                Some((*number, other.clone(), sequencer.clone()?))
            };
            let before = there.range(..serial).rev().find_map(told);
            let after = there.range(serial..).find_map(told);
            let back = |earlier: &str, later: &str| by_sequencer(earlier, later).is_gt();
            if let Some((number, other, earlier)) = before.filter(|(.., earlier)| back(earlier, own)) {
                wrong.push(went_back(&key, (number, &other, &earlier), (serial, &job, own)));
            }
            if let Some((number, other, later)) = after.filter(|(.., later)| back(own, later)) {
                wrong.push(went_back(&key, (serial, &job, own), (number, &other, &later)));
            }
        }
        there.insert(serial, (job, sequencer));
        self.known += 1;
        (wrong, forgotten)
    }
}

fn went_back(key: &str, before: (u64, &str, &str), after: (u64, &str, &str)) -> String {
    let words = |(serial, job, sequencer): (u64, &str, &str)| {
        format!("number {serial} (job {job}, sequencer {sequencer})")
    };
    format!("{key}: {} was followed by {}, which is older", words(before), words(after))
}
