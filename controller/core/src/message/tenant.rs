//! The tenant of an upload.

use std::sync::Arc;

use transcode_config::tenants::{Priority, TenantSettings, rule_of};

use super::types::{Request, Rules};

/// A tenant and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Bucket and the beginning of the tenant's keys: `uploads/tenants/acme/`.
    pub name: Arc<str>,
    /// Bucket and prefix of its rule, as the settings name it: `uploads/tenants/{id}/`. Keys under no rule have the
    /// source's prefix here.
    pub rule: Arc<str>,
    /// The tenant's limits.
    pub terms: Terms,
}

/// The limits of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Share of the vCPU-seconds against other tenants of its class; at least 1.
    pub weight: u64,
    /// Most tasks at the same time.
    pub max_tasks: usize,
    /// Most CPU units at the same time (1024 = one vCPU).
    pub max_cpu: u64,
    /// The tenant's class.
    pub priority: Priority,
}

impl Terms {
    /// The limits of uploads that no rule matches.
    pub const PLAIN: Self =
        Self { weight: 1, max_tasks: usize::MAX, max_cpu: u64::MAX, priority: Priority::Normal };

    fn of(rule: &TenantSettings) -> Self {
        Self {
            weight: u64::from(rule.weight.max(1)),
            max_tasks: if rule.max_tasks == 0 { usize::MAX } else { rule.max_tasks as usize },
            max_cpu: if rule.max_vcpu == 0 { u64::MAX } else { u64::from(rule.max_vcpu) * 1024 },
            priority: rule.priority,
        }
    }
}

impl Rules {
    /// The tenant of a request. `None` if no source has tenants, and for a refused request: it needs no slot.
    pub fn tenant_of(&self, request: &Request) -> Option<Tenant> {
        let Request::Run(spec) = request else { return None };
        if self.sources.iter().all(|source| source.tenants.is_empty()) {
            return None;
        }
        let (bucket, key) = (&spec.source.bucket, &spec.source.key);
        let source = self.source_of(bucket, key)?;
        let (rule, prefix, terms) = match rule_of(&source.tenants, key) {
            Some((rule, prefix)) => (rule.prefix.as_str(), prefix, Terms::of(rule)),
            None => (source.prefix.as_str(), source.prefix.as_str(), Terms::PLAIN),
        };
        let named = |prefix: &str| format!("{bucket}/{prefix}").into();
        Some(Tenant { name: named(prefix), rule: named(rule), terms })
    }
}
