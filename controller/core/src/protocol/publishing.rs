//! Publishing (S17): the steps by which a winner's entry points come under their stable names, and never behind a newer
//! job's. Pure: whoever drives it carries a step out and brings the answer.
//!
//! 1. Look at what lies under each stable name (its entity tag).
//! 2. Then read the prefix's pointer. Another job's that is newer: stop, this job is superseded. An older one's, or none:
//!    move it to this job, on condition that it is still what was read.
//! 3. Write each entry point, on condition that what lies there is still what step 1 saw.
//! 4. Whenever a condition fails, begin again.
//!
//! No entry point goes back: whoever writes over what a newer job wrote has seen that in step 1, so read the pointer in
//! step 2 after it had moved to the newer job, and stopped. This holds for requests that arrive after their sender has
//! died as well, because S3 checks the condition when it carries them out.

use transcode_config::contract::{JobKey, Published};

use super::order::{Standing, standing, successor};
use crate::weakness::{Weakness, weak};

/// Rounds before the call fails, to be made again later. Each lost one means that somebody else has written meanwhile.
const ROUNDS: u32 = 8;

/// What was seen of an object, to be compared with what is there later. S3's entity tag, in its own quotes.
pub type Tag = String;

/// On which condition an object is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum If {
    /// There is none.
    Absent,
    /// It is the one with this tag.
    Still(Tag),
    /// None: never, but for a weakened protocol.
    Whatever,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Look at what lies under the stable name of this entry point; answered by [`Answer::Seen`].
    Look(usize),
    /// Read the pointer; answered by [`Answer::Pointer`].
    ReadPointer,
    /// Write the pointer; answered by [`Answer::Written`].
    MovePointer(Box<Published>, If),
    /// Copy this entry point to its stable name; answered by [`Answer::Written`].
    Write(usize, If),
    /// All is done.
    Done(Publication),
    /// Others were in the way each time: to be tried again later.
    Busy,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The tag of what lies there, if anything does.
    Seen(Option<Tag>),
    /// The pointer and its tag, if there is one.
    Pointer(Option<(Box<Published>, Tag)>),
    /// The condition held and it is written; or not. An answer that was lost counts as not.
    Written(bool),
}

/// How publishing ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Publication {
    /// The job is live.
    Live(Box<Published>),
    /// Something newer is live, by this job; the stable names were left alone.
    Superseded(JobKey),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Looking,
    Reading,
    Moving(Box<Published>, If),
    Writing(usize),
    Ended(Step),
}

/// A winner on its way to the stable names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Publishing {
    /// The pointer as it should become; its serial and highest sequencer follow from the one before.
    next: Published,
    entries: usize,
    /// The pointer, since it is known to be this job's.
    live: Option<Box<Published>>,
    seen: Vec<Option<Tag>>,
    at: At,
    rounds: u32,
}

impl Publishing {
    /// Publishes this many entry points for `next`.
    pub fn new(next: Published, entries: usize) -> Self {
        let mut new = Self { next, entries, live: None, seen: Vec::new(), at: At::Reading, rounds: 1 };
        new.begin();
        new
    }

    /// What is to be done now.
    pub fn step(&self) -> Step {
        match &self.at {
            At::Looking => Step::Look(self.seen.len()),
            At::Reading => Step::ReadPointer,
            At::Moving(next, condition) => Step::MovePointer(next.clone(), condition.clone()),
            At::Writing(entry) => Step::Write(*entry, self.condition(*entry)),
            At::Ended(step) => step.clone(),
        }
    }

    /// How it went. An answer to another step than the one that is due changes nothing.
    pub fn answer(&mut self, answer: Answer) {
        match (&self.at, answer) {
            (At::Looking, Answer::Seen(tag)) => {
                self.seen.push(tag);
                self.go_on();
            }
            (At::Reading, Answer::Pointer(pointer)) => self.read(pointer),
            (At::Moving(next, _), Answer::Written(true)) => {
                self.live = Some(next.clone());
                self.go_on();
            }
            (At::Writing(entry), Answer::Written(true)) => {
                self.at = At::Writing(entry + 1);
                self.end();
            }
            (At::Moving(..) | At::Writing(..), Answer::Written(false)) => {
                self.rounds += 1;
                self.begin();
            }
            _ => {}
        }
    }

    /// A round begins: nothing that was seen before counts any more.
    fn begin(&mut self) {
        (self.live, self.seen) = (None, Vec::new());
        self.at = match () {
            () if self.rounds > ROUNDS => At::Ended(Step::Busy),
            () if self.entries == 0 || weak(Weakness::ReadsPointerBeforeLooking) => At::Reading,
            () => At::Looking,
        };
    }

    fn go_on(&mut self) {
        self.at = match &self.live {
            _ if self.seen.len() < self.entries => At::Looking,
            None => At::Reading,
            Some(_) => At::Writing(0),
        };
        self.end();
    }

    fn end(&mut self) {
        if let (At::Writing(entry), Some(live)) = (&self.at, &self.live)
            && *entry == self.entries
        {
            self.at = At::Ended(Step::Done(Publication::Live(live.clone())));
        }
    }

    fn condition(&self, entry: usize) -> If {
        if weak(Weakness::WritesStableNamesBlindly) {
            return If::Whatever;
        }
        self.seen.get(entry).cloned().flatten().map_or(If::Absent, If::Still)
    }

    fn read(&mut self, pointer: Option<(Box<Published>, Tag)>) {
        let (live, tag) = pointer.unzip();
        let Published { job, source, order, .. } = &self.next;
        match (standing(job, source, order, live.as_deref()), live) {
            (Standing::Older, Some(live)) => {
                self.at = At::Ended(Step::Done(Publication::Superseded(live.job)));
            }
            (Standing::Live, Some(live)) => {
                self.live = Some(live);
                self.go_on();
            }
            (_, live) => {
                let next = Box::new(successor(self.next.clone(), live.as_deref()));
                let condition = tag.map_or(If::Absent, If::Still);
                self.at = At::Moving(
                    next,
                    if weak(Weakness::MovesPointerBlindly) { If::Whatever } else { condition },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
