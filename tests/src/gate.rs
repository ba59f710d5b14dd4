//! A segment that does not arrive before the test allows it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::proxy::{Call, Interceptor, Treatment};

/// Holds back the objects of one name: S3 answers with a throttle, and the task tries again.
#[derive(Debug)]
pub struct Gate {
    name: &'static str,
    open: AtomicBool,
}

impl Gate {
    /// A closed gate for objects with this name, without their folder.
    pub fn closed(name: &'static str) -> Self {
        Self { name, open: AtomicBool::new(false) }
    }

    /// Lets them through from now on.
    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

impl Interceptor for Gate {
    fn request(&self, call: &Call) -> Treatment {
        let named = call.operation == "PutObject" && call.subject == self.name;
        if named && !self.open.load(Ordering::SeqCst) { Treatment::Refuse(503) } else { Treatment::Forward }
    }
}
