//! One output prefix and all jobs that may publish under it: the real [`Publishing`], step by step, in every order
//! (S17).
//!
//! A step carries out one request of a publisher; or kills the publisher, so that its request arrives at any later time
//! or never; or begins a job again, as a restarted or second controller does. The number of deaths is bounded, so the
//! search ends.

use stateright::{Checker, Model, Property};
use transcode_config::contract::{
    Attempt, JobKey, OutputTarget, Published, SCHEMA, SourceObject, SourceOrder,
};
use transcode_core::protocol::publishing::{Answer, If, Publication, Publishing, Step, Tag};

/// Stable names under the prefix.
const ENTRIES: usize = 2;

/// The sequencers of the versions, the oldest first. They have different lengths, as S3's may.
const SEQUENCERS: [&str; 3] = ["00F", "00F1", "01"];

/// The model.
#[derive(Debug, Clone)]
pub struct Prefix {
    /// The publishers: each has the number of its version. The same number twice: two controllers with one job.
    pub publishers: Vec<usize>,
    /// Most deaths of publishers.
    pub deaths: u8,
    /// Conditions are ignored: S3 carries out every write.
    pub blind: bool,
}

/// An object with a tag that no other write has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Object<T> {
    content: T,
    tag: Tag,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    publishers: Vec<Publishing>,
    pointer: Option<Object<Box<Published>>>,
    entries: Vec<Option<Object<usize>>>,
    /// Writes whose sender is dead: the version, and the write.
    late: Vec<(usize, Step)>,
    writes: u8,
    deaths: u8,
    broken: Option<&'static str>,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// A request of this publisher is carried out and answered.
    Goes(usize),
    /// A publisher dies with its request under way; another publisher begins the job again.
    Dies(usize),
    /// A request of a dead publisher arrives.
    Arrives(usize),
}

fn holds(tag: Option<&Tag>, condition: &If) -> bool {
    match condition {
        If::Absent => tag.is_none(),
        If::Still(seen) => tag == Some(seen),
        If::Whatever => true,
    }
}

fn next(version: usize) -> Published {
    let sequencer = SEQUENCERS.get(version).map(|text| (*text).to_owned());
    let at = version as u64;
    // The order of acceptance is reversed: only the version counts.
    let order = SourceOrder {
        sequencer: sequencer.clone(),
        version_id: None,
        etag: None,
        uploaded_at_ms: at,
        accepted_at_ms: 100 - at,
    };
    Published {
        schema: SCHEMA,
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/a.mp4/".into() },
        source: SourceObject { bucket: "uploads".into(), key: "a.mp4".into() },
        job: JobKey::of(&[&version.to_string()]),
        attempt: Attempt::FIRST,
        folder: version.to_string(),
        order,
        highest_sequencer: sequencer,
        serial: 1,
        published_at_ms: at,
    }
}

fn version(published: &Published) -> usize {
    published.folder.parse().unwrap_or_default()
}

impl Prefix {
    fn begin(version: usize) -> Publishing {
        Publishing::new(next(version), ENTRIES)
    }

    fn carry_out(&self, state: &mut State, version_: usize, step: &Step) -> Option<Answer> {
        state.writes += u8::from(matches!(step, Step::MovePointer(..) | Step::Write(..)));
        let tag = state.writes.to_string();
        Some(match step {
            Step::Look(entry) => {
                Answer::Seen(state.entries.get(*entry)?.as_ref().map(|object| object.tag.clone()))
            }
            Step::ReadPointer => {
                let there = state.pointer.clone();
                Answer::Pointer(there.map(|object| (object.content, object.tag)))
            }
            Step::MovePointer(pointer, condition) => {
                let written = self.blind || holds(state.pointer.as_ref().map(|it| &it.tag), condition);
                if written {
                    let back =
                        state.pointer.as_ref().is_some_and(|it| version(&it.content) > version(pointer));
                    state.promise(!back, "S17: the pointer went back");
                    state.pointer = Some(Object { content: pointer.clone(), tag });
                }
                Answer::Written(written)
            }
            Step::Write(entry, condition) => {
                let there = state.entries.get_mut(*entry)?;
                let written = self.blind || holds(there.as_ref().map(|it| &it.tag), condition);
                if written {
                    let back = there.as_ref().is_some_and(|it| it.content > version_);
                    *there = Some(Object { content: version_, tag });
                    state.promise(!back, "S17: a stable name went back");
                }
                Answer::Written(written)
            }
            Step::Done(_) | Step::Busy => return None,
        })
    }

    fn goes(&self, state: &mut State, index: usize) -> Option<()> {
        let of = *self.publishers.get(index)?;
        let step = state.publishers.get(index)?.step();
        let answer = self.carry_out(state, of, &step)?;
        let publisher = state.publishers.get_mut(index)?;
        publisher.answer(answer);
        match publisher.step() {
            Step::Busy => *publisher = Self::begin(of),
            Step::Done(Publication::Live(_)) => {
                let there = state.entries.iter().all(|it| it.as_ref().is_some_and(|it| it.content >= of));
                state.promise(there, "S1: settled before its entry points were in place");
            }
            Step::Done(Publication::Superseded(_)) => {
                let newer = state.pointer.as_ref().is_some_and(|it| version(&it.content) > of);
                state.promise(newer, "S17: superseded by nothing newer");
            }
            _ => {}
        }
        Some(())
    }
}

impl State {
    fn promise(&mut self, kept: bool, what: &'static str) {
        if !kept {
            self.broken.get_or_insert(what);
        }
    }

    fn ended(&self) -> bool {
        self.late.is_empty() && self.publishers.iter().all(|it| matches!(it.step(), Step::Done(_)))
    }
}

impl Model for Prefix {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            publishers: self.publishers.iter().map(|version| Self::begin(*version)).collect(),
            pointer: None,
            entries: vec![None; ENTRIES],
            late: Vec::new(),
            writes: 0,
            deaths: self.deaths,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        if state.broken.is_some() {
            return;
        }
        for (index, publisher) in state.publishers.iter().enumerate() {
            let step = publisher.step();
            if !matches!(step, Step::Done(_)) {
                moves.push(Move::Goes(index));
            }
            if state.deaths > 0 {
                moves.push(Move::Dies(index));
            }
        }
        moves.extend((0..state.late.len()).map(Move::Arrives));
    }

    fn next_state(&self, last: &State, step: Move) -> Option<State> {
        let mut state = last.clone();
        match step {
            Move::Goes(index) => self.goes(&mut state, index)?,
            Move::Dies(index) => {
                state.deaths -= 1;
                let of = *self.publishers.get(index)?;
                let sent = state.publishers.get(index)?.step();
                if matches!(sent, Step::MovePointer(..) | Step::Write(..)) {
                    state.late.push((of, sent));
                }
                *state.publishers.get_mut(index)? = Self::begin(of);
            }
            Move::Arrives(index) => {
                let (of, step) = state.late.remove(index);
                let _ = self.carry_out(&mut state, of, &step);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, state: &State| state.broken.is_none()),
            Property::always("at rest the newest version is live", |model: &Self, state: &State| {
                let newest = model.publishers.iter().max();
                let live = |it: &Option<Object<usize>>| it.as_ref().map(|it| &it.content) == newest;
                !state.ended() || state.entries.iter().all(live)
            }),
            Property::sometimes("all ends", |_, state: &State| state.ended()),
        ]
    }
}

/// Searches a prefix. Returns the number of states and, if a promise is broken, the promise and the steps to it.
pub fn search_prefix(prefix: Prefix) -> (usize, Option<(&'static str, Vec<Move>)>) {
    let checker = prefix.checker().spawn_bfs().join();
    let broken = checker.discovery("every promise is kept").map(|path| {
        let what = path.last_state().broken.unwrap_or_default();
        (what, path.into_actions())
    });
    let stale = checker.discovery("at rest the newest version is live");
    let broken =
        broken.or_else(|| stale.map(|path| ("S17: an old version is live at rest", path.into_actions())));
    let ends = checker.discovery("all ends").is_some();
    let broken = broken.or_else(|| (!ends).then_some(("nothing ever ends", Vec::new())));
    (checker.unique_state_count(), broken)
}

/// Searches a few prefixes, each within a second.
pub(super) fn anything_goes_back() -> Option<&'static str> {
    let worlds = [(vec![0, 1], 1), (vec![0, 1, 2], 0)];
    worlds.into_iter().find_map(|(publishers, deaths)| {
        search_prefix(Prefix { publishers, deaths, blind: false }).1.map(|(what, _)| what)
    })
}
