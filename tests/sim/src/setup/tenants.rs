//! Tenants: their rules, and the tenant of each upload.

use serde_json::json;
use transcode_config::tenants::{Priority, TenantSettings};
use transcode_core::protocol::clock::Ms;

use super::{Kind, SECOND, Setup, Sort, Upload, uploads::keyed};
use crate::rng::Rng;

/// The rules of the drawn seeds.
const TENANTS: [&str; 4] = ["a", "b", "c", "d"];

/// A rule for one tenant.
pub(crate) fn rule(tenant: &str) -> TenantSettings {
    let text = format!("{{\"prefix\": \"{tenant}/\"}}");
    serde_json::from_str(&text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// `count` uploads of a tenant, one every `every` milliseconds from `from` on.
pub(super) fn uploads_of(tenant: &str, count: u64, from: Ms, every: Ms) -> impl Iterator<Item = Upload> {
    (0..count).map(move |job| Upload {
        at: from + job * every,
        body: json!({ "Records": [keyed(&format!("{tenant}/{job}.mp4"))] }).to_string(),
        kind: Kind::Jobs,
    })
}

impl Setup {
    /// With these tenants, and a place for this many jobs that wait.
    pub(super) fn with_tenants(mut self, rules: &[TenantSettings], look_ahead: usize) -> Self {
        self.rules.sources.iter_mut().for_each(|source| source.tenants = rules.to_vec());
        self.policy.max_leases = self.policy.max_leases.max(self.policy.max_tasks * 3 + 10) + look_ahead + 20;
        self.policy.look_ahead = Some(look_ahead);
        self
    }

    /// Draws tenants, and the tenant of each upload.
    pub(super) fn draw_tenants(&mut self, rng: &mut Rng) {
        let mut rules: Vec<TenantSettings> = TENANTS.iter().take(3).map(|tenant| rule(tenant)).collect();
        for rule in &mut rules {
            rule.weight = rng.pick(&[1, 1, 3, 10], 1);
            // With hundreds of jobs that each take a day, the run would take months.
            rule.max_tasks = if self.sort == Sort::Harsh { rng.pick(&[0, 0, 1, 2], 0) } else { 0 };
            rule.priority = rng.pick(&Priority::ALL, Priority::Normal);
        }
        rules.push(rule("{id}"));
        let look_ahead = usize::try_from(rng.spread(1, 60)).unwrap_or(1);
        self.policy.put_back = rng.spread(SECOND, 30 * SECOND);
        *self = self.clone().with_tenants(&rules, look_ahead);
        for upload in &mut self.uploads {
            upload.body = with_tenants(&upload.body);
        }
    }
}

/// A body with the keys of tenants: most belong to the first one.
fn with_tenants(body: &str) -> String {
    const KEY: &str = "\"key\":\"";
    let mut parts = body.split(KEY);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number: usize = part.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let tenant = TENANTS.get((number % 7).saturating_sub(3)).unwrap_or(&"a");
        text.extend([KEY, tenant, "/", part]);
    }
    text
}
