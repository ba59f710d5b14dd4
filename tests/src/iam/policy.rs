//! Policy documents and their decisions, by IAM's guide: deny by default, an explicit deny outranks.
//!
//! Only the elements that `deploy/template.yaml` uses are supported. Any other is an error, never a silent "no match".

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    call::{Call, matches, texts},
    condition::Condition,
};

/// The decision of policies on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement allows it.
    NotAllowed,
}

/// One action on one resource in one statement: the smallest part that can be removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Name of the statement.
    pub sid: String,
    /// Action, with wildcards.
    pub action: String,
    /// Resource, with wildcards.
    pub resource: String,
}

#[derive(Debug, Clone)]
struct Statement {
    sid: String,
    allow: bool,
    /// Whether a resource policy's statement is about everybody; `None` in a role's policy.
    everybody: Option<bool>,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// A policy document.
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Vec<Statement>,
}

impl Policy {
    /// Parses a document. An unknown element or operator is an error.
    pub fn parse(document: &Value) -> Result<Self> {
        ensure!(document["Version"] == "2012-10-17", "the version is {}", document["Version"]);
        let statements = match &document["Statement"] {
            Value::Array(all) => all.iter().map(Statement::parse).collect::<Result<_>>()?,
            one => vec![Statement::parse(one)?],
        };
        Ok(Self { statements })
    }

    /// Everything that the policy allows, as single grants.
    pub fn grants(&self) -> Vec<Grant> {
        let allowing = self.statements.iter().filter(|statement| statement.allow);
        allowing.flat_map(Statement::grants).collect()
    }
}

impl Statement {
    fn parse(value: &Value) -> Result<Self> {
        const KNOWN: [&str; 6] = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
        let object = value.as_object().context("a statement is no object")?;
        let sid = value["Sid"].as_str().unwrap_or_default().to_owned();
        if let Some(strange) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            bail!("statement {sid}: {strange} is not understood here");
        }
        let allow = match value["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => bail!("statement {sid}: the effect is {other:?}"),
        };
        Ok(Self {
            allow,
            everybody: object.get("Principal").map(|principal| principal == "*" || principal["AWS"] == "*"),
            actions: texts(&value["Action"]).with_context(|| format!("statement {sid}: Action"))?,
            resources: texts(&value["Resource"]).with_context(|| format!("statement {sid}: Resource"))?,
            conditions: Condition::all(&value["Condition"]).with_context(|| format!("statement {sid}"))?,
            sid,
        })
    }

    fn grants(&self) -> impl Iterator<Item = Grant> {
        let pair = |action: &String, resource: &String| Grant {
            sid: self.sid.clone(),
            action: action.clone(),
            resource: resource.clone(),
        };
        self.actions.iter().flat_map(move |action| self.resources.iter().map(move |one| pair(action, one)))
    }

    fn matches(&self, call: &Call, gone: Option<&Grant>) -> bool {
        let left = |action: &str, resource: &str| {
            gone.is_none_or(|gone| {
                (gone.sid.as_str(), gone.action.as_str(), gone.resource.as_str())
                    != (self.sid.as_str(), action, resource)
            })
        };
        let named =
            self.actions.iter().filter(|action| matches(&action.to_lowercase(), &call.action.to_lowercase()));
        let mut pairs = named.flat_map(|action| self.resources.iter().map(move |one| (action, one)));
        self.everybody != Some(false)
            && pairs.any(|(action, one)| matches(one, &call.resource) && left(action, one))
            && self.conditions.iter().all(|condition| condition.holds(call))
    }
}

/// The decision of several policies on a call.
pub fn decide(policies: &[&Policy], call: &Call) -> Decision {
    decide_without(policies, call, None)
}

/// The same without one grant.
pub fn decide_without(policies: &[&Policy], call: &Call, gone: Option<&Grant>) -> Decision {
    let statements = || policies.iter().flat_map(|policy| &policy.statements);
    if statements().any(|statement| !statement.allow && statement.matches(call, None)) {
        return Decision::Denied;
    }
    if statements().any(|statement| statement.allow && statement.matches(call, gone)) {
        return Decision::Allowed;
    }
    Decision::NotAllowed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(statements: &Value) -> Policy {
        Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements})).unwrap()
    }

    fn says(statements: &Value, call: &Call) -> Decision {
        decide(&[&policy(statements)], call)
    }

    #[test]
    fn wildcards_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("arn:aws:s3:::b/*/v-*/*", "arn:aws:s3:::b/videos/x/v-1/y/z", true),
            ("arn:aws:s3:::b/*/v-*/*", "arn:aws:s3:::b/videos/x/y", false),
            ("jobs/??.json", "jobs/01.json", true),
            ("jobs/??.json", "jobs/001.json", false),
            ("*", "", true),
            ("", "x", false),
            ("a*a*a", "aa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn nothing_is_allowed_unless_said_and_a_deny_outranks() {
        let call = Call::new("s3:PutObject", "arn:aws:s3:::b/k");
        let allow = json!({"Effect": "Allow", "Action": "s3:put*", "Resource": "arn:aws:s3:::b/*"});
        let deny = json!({"Effect": "Deny", "Action": "s3:*", "Resource": ["arn:aws:s3:::b/k"]});
        assert_eq!(says(&json!([]), &call), Decision::NotAllowed);
        assert_eq!(says(&json!([allow]), &call), Decision::Allowed, "the case of actions does not count");
        assert_eq!(says(&json!([allow, deny]), &call), Decision::Denied);
        assert_eq!(says(&json!(allow), &Call::new("s3:PutObject", "arn:aws:s3:::B/k")), Decision::NotAllowed);
    }

    #[test]
    fn a_statement_about_a_service_is_not_about_a_role() {
        let call = Call::new("sqs:SendMessage", "q");
        let to = |principal: &Value| json!({"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": "q"});
        assert_eq!(says(&to(&json!({"Service": "s3.amazonaws.com"})), &call), Decision::NotAllowed);
        assert_eq!(says(&to(&json!("*")), &call), Decision::Allowed);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for strange in [
            json!({"Effect": "Allow", "NotAction": "s3:*", "Action": "s3:*", "Resource": "*"}),
            json!({"Effect": "Perhaps", "Action": "s3:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": 1, "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"a": "b"}}}),
        ] {
            let document = json!({"Version": "2012-10-17", "Statement": strange});
            assert!(Policy::parse(&document).is_err(), "{document}");
        }
        assert!(Policy::parse(&json!({"Statement": []})).is_err(), "the version matters");
    }

    #[test]
    fn a_grant_taken_away_leaves_the_others() {
        let both =
            policy(&json!({"Sid": "S", "Effect": "Allow", "Action": ["a:A", "a:B"], "Resource": ["x", "y"]}));
        let grants = both.grants();
        assert_eq!(grants.len(), 4);
        let gone = Grant { sid: "S".into(), action: "a:A".into(), resource: "x".into() };
        assert!(grants.contains(&gone));
        let without = |action, resource| decide_without(&[&both], &Call::new(action, resource), Some(&gone));
        assert_eq!(without("a:A", "x"), Decision::NotAllowed);
        for (action, resource) in [("a:A", "y"), ("a:B", "x"), ("a:B", "y")] {
            assert_eq!(without(action, resource), Decision::Allowed);
        }
    }
}
