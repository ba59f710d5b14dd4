//! The checks on how jobs end: what must have happened before a message is deleted, what a terminal record says, and
//! what is told of it.

use super::{
    history::{History, Job},
    line::{Outcome, RecordRead},
    message::{End, Message},
};

impl History {
    /// S1, S15, S18, S20.
    pub(super) fn deleted(&mut self, id: &str, at: u64) {
        // Received before the log begins: nothing can be concluded.
        let Some(message) = self.messages.get(id).filter(|message| message.held_by == self.process) else {
            self.totals.unexplained += 1;
            return;
        };
        let mut wrong = Vec::new();
        if message.parked {
            wrong.push(("S15", format!("message {id} was put aside and is deleted")));
        }
        let mut success = !message.jobs.is_empty();
        let mut dead = false;
        for key in &message.jobs {
            let job = self.jobs.get(key);
            let read = job.filter(|job| job.terminal_record_read_by == self.process);
            if let Some(job) = read {
                wrong.extend(self.untold(id, message, key, job));
            }
            match read.and_then(|job| Some((job, job.record.as_ref()?))) {
                None => wrong.push((
                    "S1",
                    format!("message {id} deleted before the terminal record of job {key} was read"),
                )),
                Some((_, record)) if matches!(record.outcome, Outcome::Superseded | Outcome::Cancelled) => {}
                Some((job, record)) if record.outcome == Outcome::Succeeded => {
                    if job.published_by != self.process {
                        wrong.push(("S1", format!("message {id} deleted before job {key} was published")));
                    }
                }
                Some(_) => {
                    (success, dead) = (false, true);
                    if !message.lettered.contains(&(key.clone(), self.process)) {
                        let text = format!(
                            "message {id} deleted before the dead letter of job {key} was acknowledged"
                        );
                        wrong.push(("S1", text));
                    }
                }
            }
        }
        let end = match (success, dead) {
            (_, true) => End::Dead,
            (true, _) => End::Succeeded,
            _ => End::Ignored,
        };
        if let Some(message) = self.messages.get_mut(id) {
            message.to(end, at);
        }
        for (invariant, text) in wrong {
            self.violated(invariant, text);
        }
    }

    /// S2, S11.
    pub(super) fn record(&mut self, key: &str, record: RecordRead) {
        self.tenants.stirred(key);
        let process = self.process;
        let job = self.job(key);
        job.terminal_record_read_by = process;
        let claims = job.claims.keys().next_back().copied().unwrap_or(0);
        let mut wrong = Vec::new();
        if record.outcome == Outcome::Dead {
            if record.code.is_none() {
                wrong.push(("S11", format!("job {key} is dead without a code")));
            }
            if record.attempts.unwrap_or(0) < claims {
                wrong.push((
                    "S11",
                    format!(
                        "job {key} is dead and its terminal record leaves out attempts: {claims} were made"
                    ),
                ));
            }
            if record.task.is_none() && !job.tasks.is_empty() {
                wrong.push((
                    "S11",
                    format!("job {key} is dead and its terminal record names no task, though there was one"),
                ));
            }
        }
        match &job.record {
            Some(before) if before.nonce != record.nonce => {
                let text = format!(
                    "job {key} has two terminal records, of {} and of {}",
                    before.nonce, record.nonce
                );
                wrong.push(("S2", text));
            }
            _ => job.record = Some(record),
        }
        for (invariant, text) in wrong {
            self.violated(invariant, text);
        }
    }

    /// S12.
    pub(super) fn settled(&mut self, key: &str, success: bool) {
        let word = |success| if success { "a success" } else { "dead" };
        let record = self.job(key).record.as_ref().map(|record| record.outcome == Outcome::Succeeded);
        if let Some(decided) = record.filter(|decided| *decided != success) {
            let text = format!(
                "job {key} is settled as {} and its terminal record says {}",
                word(success),
                word(decided)
            );
            self.violated("S12", text);
        }
    }

    /// S18, S20: what is missing of a decided job whose message is deleted.
    fn untold(&self, id: &str, message: &Message, key: &str, job: &Job) -> Vec<(&'static str, String)> {
        let listed = !self.duties.lists || job.listed_by == self.process;
        let told = !self.duties.tells(message) || job.told_by == self.process;
        let missing = [
            ("S20", listed, format!("message {id} deleted before the index had the end of job {key}")),
            ("S18", told, format!("message {id} deleted before anybody was told how job {key} ended")),
        ];
        missing.into_iter().filter(|(_, done, _)| !done).map(|(id, _, text)| (id, text)).collect()
    }

    /// The index has the end of a job.
    pub(super) fn listed(&mut self, key: &str) {
        let process = self.process;
        self.job(key).listed_by = process;
    }

    /// S18: the bus or the outbox has the event of an end.
    pub(super) fn told(&mut self, key: &str, kind: &str) {
        let (process, lists) = (self.process, self.duties.lists);
        let job = self.job(key);
        job.told_by = process;
        let read = job.record.as_ref().filter(|_| job.terminal_record_read_by == process);
        let wrong = match read.map(|record| record.outcome) {
            None => "before its terminal record was read",
            Some(Outcome::Succeeded) if ["succeeded", "superseded"].contains(&kind) => return,
            Some(Outcome::Dead) if kind == "dead" => return,
            Some(Outcome::Superseded) if kind == "superseded" => return,
            Some(Outcome::Cancelled) if kind == "cancelled" => return,
            Some(_) => "and its terminal record says something else",
        };
        if lists {
            self.violated("S18", format!("job {key} was told as {kind} {wrong}"));
        }
    }
}
