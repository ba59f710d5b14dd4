//! Checks that roles have the permissions that they use and no others.

use super::{
    call::Call,
    policy::{Decision, Policy, decide, decide_without},
};

/// Calls that the policies do not allow, as texts for people.
pub fn missing(role: &str, policies: &[&Policy], calls: &[Call]) -> Vec<String> {
    let refused = calls.iter().filter(|call| decide(policies, call) != Decision::Allowed);
    let words = |call: &Call| {
        format!(
            "{role}: {} on {} {:?} was called and no statement of deploy/template.yaml allows it",
            call.action, call.resource, call.context
        )
    };
    refused.map(words).collect()
}

/// Grants that can be removed, each alone, without refusing any call.
pub fn unused(role: &str, policies: &[&Policy], calls: &[Call]) -> Vec<String> {
    let grants = policies.iter().flat_map(|policy| policy.grants());
    let idle = grants.filter(|grant| {
        calls.iter().all(|call| decide_without(policies, call, Some(grant)) == Decision::Allowed)
    });
    let words = |grant: super::policy::Grant| {
        format!(
            "{role}: statement {} allows {} on {}, and no call needs it: remove it from deploy/template.yaml, or \
             exercise it in tests/tests/iam",
            grant.sid, grant.action, grant.resource
        )
    };
    idle.map(words).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_and_what_is_idle_is_named() {
        let policy = Policy::parse(&json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Used", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "b/*"},
            {"Sid": "Twice", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "b/k"},
        ]}));
        let policy = policy.unwrap();
        let calls = [Call::new("s3:GetObject", "b/k"), Call::new("s3:DeleteObject", "b/k")];
        let missing = missing("task", &[&policy], &calls);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains("s3:DeleteObject on b/k"), "{missing:?}");
        let idle = unused("task", &[&policy], &calls[..1]);
        // Each of the two grants that allow the read can be removed, as long as the other one stays.
        assert_eq!(idle.len(), 3, "{idle:?}");
        assert!(idle[1].contains("statement Used allows s3:PutObject on b/*"), "{idle:?}");
        let more = [Call::new("s3:GetObject", "b/other"), Call::new("s3:PutObject", "b/other")];
        let idle = unused("task", &[&policy], &more);
        assert_eq!(idle.len(), 1);
        assert!(idle[0].contains("statement Twice"), "{idle:?}");
    }
}
