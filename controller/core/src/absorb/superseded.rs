//! The effect of a job that goes live on the earlier uploads of the same object.

use transcode_config::contract::{JobKey, Published};

use crate::{message::Request, protocol::order::is_behind, state::ledger::Ledger};

impl Ledger {
    /// Marks each job that can only end as superseded from now on.
    pub(super) fn goes_live(&mut self, live: &Published) {
        let behind: Vec<JobKey> = self
            .jobs
            .iter()
            .filter(|(key, job)| **key != live.job && job.terminal().is_none())
            .filter(|(_, job)| matches!(&job.request, Some(Request::Run(spec)) if is_behind(spec, live)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in behind {
            if let Some(job) = self.jobs.get_mut(&key) {
                job.superseded_by = Some(live.job.clone());
            }
        }
    }
}
