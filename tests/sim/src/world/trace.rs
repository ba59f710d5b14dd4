//! The events of a run: always as a hash, on request as text.

use std::fmt::{Debug, Display};

use transcode_core::protocol::clock::Ms;

use super::event::Event;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    text: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace.
    pub fn new(keep_text: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, text: keep_text.then(Vec::new) }
    }

    /// Whether text is kept.
    pub fn kept(&self) -> bool {
        self.text.is_some()
    }

    pub(super) fn event(&mut self, at: Ms, event: &Event) {
        use Event as E;
        // By hand: formatting every event would take longer than carrying it out.
        let code = match event {
            E::Effect(call) => 1 << 32 | u64::from(*call),
            E::Answer(call) => 2 << 32 | u64::from(*call),
            E::Plan(host) => 3 << 32 | *host as u64,
            E::Task(task, epoch, _) => 4 << 32 | (*task as u64) << 8 | u64::from(*epoch),
            E::Hint(host, _) => 5 << 32 | *host as u64,
            other => {
                self.note(at, || format!("{other:?}"));
                6 << 32
            }
        };
        self.mix(at);
        self.mix(code);
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// Adds an action or a fact.
    pub fn value(&mut self, at: Ms, who: impl Display, value: &impl Debug) {
        self.note(at, || format!("{who} {value:?}"));
    }

    /// Adds a line.
    pub fn note(&mut self, at: Ms, line: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            let line = line();
            text.push(format!("{:>10.3} {line}", std::time::Duration::from_millis(at).as_secs_f64()));
        }
    }

    /// Adds a number that must be the same in every run of the seed.
    pub fn number(&mut self, value: u64) {
        self.mix(value);
    }

    /// The hash so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, if text is kept.
    pub fn lines(&self) -> &[String] {
        self.text.as_deref().unwrap_or_default()
    }
}
