//! The active faults, and which of them hits a call.

use serde::Serialize;

use super::fault::{Fault, FaultKind};

/// Faults that can be active at one time.
const MAX_FAULTS: usize = 1000;

/// An active fault.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Active {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) fault: Fault,
    /// Calls that matched.
    seen: u64,
    /// Calls that were hit.
    hits: u64,
}

/// The active faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Active>,
    last_id: u64,
}

impl Faults {
    /// Sets a fault and returns its id; `None` if too many are active.
    pub(crate) fn set(&mut self, fault: Fault) -> Option<u64> {
        if self.active.len() >= MAX_FAULTS {
            return None;
        }
        self.last_id += 1;
        self.active.push(Active { id: self.last_id, fault, seen: 0, hits: 0 });
        Some(self.last_id)
    }

    /// Clears one fault, or all, and returns how many.
    pub(crate) fn clear(&mut self, id: Option<u64>) -> usize {
        let before = self.active.len();
        self.active.retain(|active| id.is_some_and(|id| active.id != id));
        before - self.active.len()
    }

    pub(crate) fn list(&self) -> &[Active] {
        &self.active
    }

    /// The first fault of a wanted kind that hits this call. A spent fault stays listed with `count` 0.
    pub(crate) fn take(
        &mut self,
        operation: &str,
        job: Option<&str>,
        wanted: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        self.active.iter_mut().find_map(|active| {
            let fault = &mut active.fault;
            let fits = fault.count != Some(0)
                && wanted(&fault.kind)
                && fault.operation.as_deref().is_none_or(|one| one == operation)
                && fault.job.as_deref().is_none_or(|one| Some(one) == job);
            if !fits {
                return None;
            }
            active.seen += 1;
            if !(active.seen - 1).is_multiple_of(u64::from(fault.one_in.unwrap_or(1).max(1))) {
                return None;
            }
            fault.count = fault.count.map(|count| count - 1);
            active.hits += 1;
            Some(fault.kind.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_scope_and_rate_are_kept() {
        let mut faults = Faults::default();
        let fault =
            Fault { operation: Some("RunTask".into()), count: Some(2), ..Fault::new(FaultKind::Throttle) };
        faults.set(fault);
        assert!(faults.take("StopTask", None, |_| true).is_none());
        assert!(faults.take("RunTask", None, |kind| *kind != FaultKind::Throttle).is_none());
        assert!(faults.take("RunTask", Some("j"), |_| true).is_some());
        assert!(faults.take("RunTask", None, |_| true).is_some());
        assert!(faults.take("RunTask", None, |_| true).is_none());

        faults.clear(None);
        faults.set(Fault { one_in: Some(3), job: Some("j".into()), ..Fault::new(FaultKind::NeverStopped) });
        let hits = (0..7).filter(|_| faults.take("RunTask", Some("j"), |_| true).is_some()).count();
        assert_eq!(hits, 3);
        assert!(faults.take("RunTask", None, |_| true).is_none());
    }
}
