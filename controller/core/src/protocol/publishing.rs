//! Publishing (S17): the steps that copy a winner's entry points to their stable names and never replace those of a
//! newer job. Pure: the caller carries each step out and passes the answer back.
//!
//! First, as if nothing had ever been published here: create the pointer, on condition that there is none, then each
//! entry point, on the same condition. This is the whole of it for the first job of a prefix. If a condition fails:
//!
//! 1. Look at what lies under each stable name (its entity tag).
//! 2. Then read the pointer of the prefix. If it names another job that is newer, stop: this job is superseded. If it
//!    names an older job, or does not exist, move it to this job, on condition that it is unchanged since it was read.
//! 3. Write each entry point, on condition that the object under its stable name is unchanged since step 1.
//! 4. If a condition fails, begin again.
//!
//! No entry point moves back. A writer that replaces an entry point of a newer job saw that entry point in step 1, so
//! it read the pointer in step 2 after the pointer had moved to the newer job, and stopped. The argument also covers
//! requests that arrive after their sender has died, because S3 checks the condition when it carries the request out.
//! A write on condition that nothing lies there replaces nothing, whatever its writer has seen.

use transcode_config::contract::{JobKey, Published};

use super::order::{Standing, standing, successor};
use crate::weakness::{Weakness, weak};

/// Rounds before the call fails; the call is repeated later. Each lost round means that another writer has written in
/// the meantime.
const ROUNDS: u32 = 8;

/// S3's entity tag of an object, with its quotes. Compared with the tag at a later time.
pub type Tag = String;

/// Condition of a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum If {
    /// The object does not exist.
    Absent,
    /// The object still has this tag.
    Still(Tag),
    /// No condition. Used only by a weakened protocol (tests of the tests).
    Whatever,
}

/// The next request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read the tag of the object under the stable name of this entry point. Answered by [`Answer::Seen`].
    Look(usize),
    /// Read the pointer; answered by [`Answer::Pointer`].
    ReadPointer,
    /// Write the pointer; answered by [`Answer::Written`].
    MovePointer(Box<Published>, If),
    /// Copy this entry point to its stable name; answered by [`Answer::Written`].
    Write(usize, If),
    /// Publishing has ended.
    Done(Publication),
    /// Other writers won each round: try again later.
    Busy,
}

/// Answer to a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Tag of the object; `None` if it does not exist.
    Seen(Option<Tag>),
    /// The pointer and its tag; `None` if it does not exist.
    Pointer(Option<(Box<Published>, Tag)>),
    /// `true`: the condition held and the object is written. A lost answer counts as `false`.
    Written(bool),
}

/// Result of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Publication {
    /// The job is live.
    Live(Box<Published>),
    /// A newer job, named here, is live; the stable names were left alone.
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
    /// The pointer to write. Its serial and highest sequencer follow from the pointer before.
    next: Published,
    entries: usize,
    /// The pointer, once it is known to name this job.
    live: Option<Box<Published>>,
    seen: Vec<Option<Tag>>,
    at: At,
    rounds: u32,
}

impl Publishing {
    /// Begins to publish `entries` entry points for `next`.
    pub fn new(next: Published, entries: usize) -> Self {
        let first = At::Moving(Box::new(successor(next.clone(), None)), pointer_is(If::Absent));
        Self { next, entries, live: None, seen: vec![None; entries], at: first, rounds: 1 }
    }

    /// The step to carry out now.
    pub fn step(&self) -> Step {
        match &self.at {
            At::Looking => Step::Look(self.seen.len()),
            At::Reading => Step::ReadPointer,
            At::Moving(next, condition) => Step::MovePointer(next.clone(), condition.clone()),
            At::Writing(entry) => Step::Write(*entry, self.condition(*entry)),
            At::Ended(step) => step.clone(),
        }
    }

    /// Takes the answer to the current step. An answer to any other step is ignored.
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

    /// Begins a round: everything seen before is outdated.
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
                self.at = At::Moving(next, pointer_is(tag.map_or(If::Absent, If::Still)));
            }
        }
    }
}

/// The condition on which the pointer moves.
fn pointer_is(condition: If) -> If {
    if weak(Weakness::MovesPointerBlindly) { If::Whatever } else { condition }
}

#[cfg(test)]
mod tests;
