//! Requests whose idempotency key belongs to another source ([`crate::message::key_reused`]).

use std::sync::Arc;

use transcode_config::contract::{JobKey, JobSpec};

use super::change::Change;
use crate::{
    message::{Request, key_reused, same_source},
    protocol::{clock::Now, fact::MessageId},
    state::{
        job::{Binding, Job},
        lease::Content,
        ledger::Ledger,
    },
};

impl Ledger {
    /// Returns the request, or the refused job in its place if the known state of the job shows that the key belongs to
    /// another source.
    pub(super) fn bound(&self, request: Request) -> Request {
        let Request::Run(asked) = &request else { return request };
        let named = self.jobs.get(&asked.job).filter(|_| asked.idempotency_key.is_some());
        match named.map(|job| (&job.binding, &job.request)) {
            Some((Binding::Other(known), _) | (_, Some(Request::Run(known))))
                if !same_source(asked, known) =>
            {
                key_reused(asked, known)
            }
            _ => request,
        }
    }

    /// Takes in the specification in the state bucket. Without a message of the job here, it tells the job's tenant.
    /// Messages that ask for another source under the job's key ask for a refused job from now on.
    pub(super) fn spec_read(
        &mut self,
        key: &JobKey,
        there: Option<Box<JobSpec>>,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        if self.jobs.get(key).is_some_and(|job| job.request.is_none()) {
            let there: Option<Arc<JobSpec>> = there.map(Into::into);
            let request = there.clone().map(Request::Run);
            let tenant = request.and_then(|request| self.rules.tenant_of(&request));
            let tenant = self.tenants.number(tenant, now.mono);
            return self.job_answered(key, |job, _| {
                (job.tenant, job.attributed, job.accepted) = (tenant, true, there);
            });
        }
        let mut refused = None;
        self.job_answered(key, |job, _| {
            job.binding = Binding::Own;
            if let (Some(Request::Run(asked)), Some(there)) = (&job.request, there)
                && !same_source(asked, &there)
            {
                refused = Some((key_reused(asked, &there), std::mem::take(&mut job.leases)));
                // No message here asks for the job itself any more.
                job.request = None;
                job.binding = Binding::Other(there.into());
            }
        });
        let Some((request, messages)) = refused else { return };
        for message in messages.into_keys() {
            self.asks_instead(&message, key, request.clone(), now, told);
        }
    }

    fn asks_instead(
        &mut self,
        message: &MessageId,
        of: &JobKey,
        request: Request,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        let Some(lease) = self.leases.get_mut(message) else { return };
        if let Content::Jobs(jobs) = &mut lease.content {
            jobs.remove(of);
            jobs.insert(request.job().clone());
        }
        let (message, job, of) = (message.clone(), request.job().clone(), of.clone());
        let sent_at_ms = lease.sent_at_ms;
        let refused = self.jobs.or_insert_with(&job, || Job::new(None, now.mono));
        refused.leases.insert(message.clone());
        refused.request.get_or_insert(request);
        refused.asked_at_ms = refused.asked_at_ms.into_iter().chain(sent_at_ms).min();
        told.push(Change::KeyReused { message, job, of });
    }
}
