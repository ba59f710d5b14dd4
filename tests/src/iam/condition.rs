//! Conditions of a statement.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::call::{Call, matches, texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    StringEquals,
    StringLike,
    Arn,
    Null,
    Bool,
}

/// One key of one operator, with its allowed values.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    operator: Operator,
    /// In lower case: IAM ignores the case of keys.
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// The conditions of a statement; empty if it has none.
    pub(super) fn all(value: &Value) -> Result<Vec<Self>> {
        let Some(operators) = value.as_object() else {
            return if value.is_null() { Ok(Vec::new()) } else { bail!("Condition is no object") };
        };
        let mut found = Vec::new();
        for (name, keys) in operators {
            let operator = match name.as_str() {
                "StringEquals" => Operator::StringEquals,
                "StringLike" => Operator::StringLike,
                // According to IAM's guide, the two are the same, and both take wildcards.
                "ArnEquals" | "ArnLike" => Operator::Arn,
                "Null" => Operator::Null,
                "Bool" => Operator::Bool,
                other => bail!("the operator {other} is not understood here"),
            };
            for (key, values) in keys.as_object().with_context(|| format!("{name} is no object"))? {
                let values = texts(values).with_context(|| key.clone())?;
                found.push(Self { operator, key: key.to_lowercase(), values });
            }
        }
        Ok(found)
    }

    /// Whether the call meets the condition. A key that is missing in the call meets no operator but `Null`.
    pub(super) fn holds(&self, call: &Call) -> bool {
        let actual = call.context.get(&self.key);
        let any = |meets: &dyn Fn(&str, &str) -> bool| {
            actual.is_some_and(|actual| self.values.iter().any(|wanted| meets(wanted, actual)))
        };
        match self.operator {
            Operator::StringEquals => any(&|wanted, actual| wanted == actual),
            Operator::StringLike => any(&matches),
            Operator::Arn => any(&arn_matches),
            Operator::Bool => any(&|wanted, actual| wanted.eq_ignore_ascii_case(actual)),
            Operator::Null => {
                let absent = actual.is_none().to_string();
                self.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&absent))
            }
        }
    }
}

/// Compares each of the six parts of an ARN: a wildcard does not match a colon, except in the last part.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let (wanted, actual): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    wanted.len() == actual.len() && wanted.iter().zip(&actual).all(|(wanted, actual)| matches(wanted, actual))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(condition: &Value, call: &Call) -> bool {
        Condition::all(condition).unwrap().iter().all(|condition| condition.holds(call))
    }

    #[test]
    fn a_key_that_is_not_there_meets_only_null() {
        let call = Call::new("a:A", "x");
        for operator in ["StringEquals", "StringLike", "ArnEquals", "Bool"] {
            assert!(!holds(&json!({operator: {"k": "*"}}), &call), "{operator}");
        }
        assert!(holds(&json!({"Null": {"k": "true"}}), &call));
        assert!(!holds(&json!({"Null": {"k": "false"}}), &call));
        assert!(!holds(&json!({"Null": {"k": "true"}}), &call.with("k", "v")));
    }

    #[test]
    fn all_keys_must_be_met_by_one_of_their_values() {
        let call = Call::new("a:A", "x").with("K", "v").with("secure", "TRUE");
        assert!(holds(&json!({"StringEquals": {"k": ["u", "v"]}, "Bool": {"Secure": "true"}}), &call));
        assert!(!holds(&json!({"StringEquals": {"k": "V"}}), &call), "values have a case");
        assert!(!holds(&json!({"StringEquals": {"k": "v", "other": "v"}}), &call));
        assert!(!holds(&json!({"StringEquals": {"k": "*"}}), &call));
        assert!(holds(&json!({"StringLike": {"k": "*"}}), &call));
    }

    #[test]
    fn a_wildcard_stays_in_its_part_of_an_arn() {
        let cluster = Call::new("a:A", "x").with("c", "arn:aws:ecs:eu-west-1:1:cluster/prod");
        assert!(holds(&json!({"ArnEquals": {"c": "arn:aws:ecs:*:1:cluster/*"}}), &cluster));
        assert!(!holds(&json!({"ArnEquals": {"c": "arn:aws:ecs:*:cluster/prod"}}), &cluster));
        assert!(!holds(&json!({"ArnEquals": {"c": "arn:aws:ecs:eu-west-1:1:cluster/pro"}}), &cluster));
    }
}
