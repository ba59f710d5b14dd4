//! Tenants by the names that people give them.

use std::collections::BTreeSet;

use anyhow::bail;
use transcode_config::{Settings, settings::SourceSettings, tenants::rule_of};

/// The tenant of an object, as in the logs: bucket and the beginning of the tenant's keys, such as
/// `uploads/tenants/acme/`. None of an object that no source covers.
pub(crate) fn of(settings: &Settings, bucket: &str, key: &str) -> Option<String> {
    let covers = |source: &&SourceSettings| source.bucket == bucket && key.starts_with(&source.prefix);
    let source = settings.sources.values().filter(covers).max_by_key(|source| source.prefix.len())?;
    let prefix = rule_of(&source.tenants, key).map_or(source.prefix.as_str(), |(_, prefix)| prefix);
    Some(format!("{bucket}/{prefix}"))
}

/// Whether a tenant is meant by what a person wrote: its whole name, or the end of it after a slash.
pub(crate) fn is_called(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.trim_end_matches('/'), wanted.trim_end_matches('/'));
    let rest = name.strip_suffix(wanted);
    !wanted.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// A tenant of the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// The beginning of its keys, such as `tenants/acme/`.
    pub(crate) prefix: String,
}

impl Place {
    /// The tenant's name, as the controller has it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix)
    }
}

/// The one tenant that is meant: `acme`, `tenants/acme/` or `uploads/tenants/acme/`. It need not have uploads yet.
pub(crate) fn meant(settings: &Settings, wanted: &str) -> anyhow::Result<Place> {
    let wanted = wanted.trim_matches('/');
    let mut found = BTreeSet::new();
    for source in settings.sources.values() {
        let inner = wanted.strip_prefix(source.bucket.as_str()).and_then(|rest| rest.strip_prefix('/'));
        for rule in &source.tenants {
            let captured = rule.prefix.as_str().split_once('{').and_then(|(before, rest)| {
                let after = rest.split_once('}')?.1;
                Some(format!("{before}{wanted}{after}"))
            });
            let whole = [Some(wanted), inner].into_iter().flatten().map(|prefix| format!("{prefix}/"));
            let ends =
                Some(rule.prefix.literal()).filter(|it| !rule.prefix.captures() && is_called(it, wanted));
            for prefix in whole.chain(captured).chain(ends.map(str::to_owned)) {
                // As the controller will name it: another rule may have a better claim to these keys.
                if prefix.starts_with(&source.prefix)
                    && of(settings, &source.bucket, &prefix)
                        .is_some_and(|name| name == format!("{}/{prefix}", source.bucket))
                    && rule_of(&source.tenants, &prefix).is_some()
                {
                    found.insert(Place { bucket: source.bucket.clone(), prefix });
                }
            }
        }
    }
    let names = found.iter().map(Place::name).collect::<Vec<_>>().join(", ");
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => bail!("--tenant: {wanted} may be any of these, write one out: {names}"),
        (None, _) => bail!(
            "--tenant: no rule of `sources.*.tenants` makes a tenant of {wanted}; write it as in the logs, such as \
             uploads/tenants/acme/"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(tenants: &[&str]) -> Settings {
        let rule = |it: &&str| format!("[[sources.uploads.tenants]]\nprefix = \"{it}\"\n");
        let rules = tenants.iter().map(rule).collect::<Vec<_>>().concat();
        let text = format!(
            "environment = \"test\"\nqueues.default = {{ url = \"q\", dead_letter_url = \"d\" }}\n\
             sources.uploads.bucket = \"uploads\"\nstate.bucket = \"state\"\noutput.bucket = \"videos\"\n\
             cluster = {{ name = \"c\", task_definition = \"t\", subnets = [\"s\"] }}\n{rules}"
        );
        transcode_config::load::from_text(&text, figment::providers::Env::prefixed("NOT_SET_")).unwrap()
    }

    #[test]
    fn a_tenant_is_found_by_each_of_its_names() {
        let settings = settings(&["tenants/{id}/", "partners/"]);
        let place = |prefix: &str| Place { bucket: "uploads".into(), prefix: prefix.into() };
        for wanted in ["acme", "tenants/acme", "tenants/acme/", "uploads/tenants/acme/"] {
            assert_eq!(meant(&settings, wanted).unwrap(), place("tenants/acme/"), "{wanted}");
        }
        assert_eq!(meant(&settings, "uploads/partners").unwrap(), place("partners/"));
        let several = meant(&settings, "partners").unwrap_err().to_string();
        assert!(several.contains("uploads/partners/, uploads/tenants/partners/"), "{several}");
        assert!(meant(&settings, "a/b").unwrap_err().to_string().contains("no rule"));
        assert!(meant(&self::settings(&[]), "acme").is_err());
    }

    #[test]
    fn a_name_is_meant_by_its_end_at_a_slash() {
        assert!(is_called("uploads/tenants/acme/", "acme") && is_called("uploads/", "uploads/"));
        for wanted in ["cme", "", "/", "tenants", "other/tenants/acme"] {
            assert!(!is_called("uploads/tenants/acme/", wanted), "{wanted}");
        }
    }
}
