//! Tenants: which uploads belong together, and what share of the slots they get. See `docs/fairness.md`.

use serde::{Deserialize, Serialize};

/// A rule of a source: the uploads below a prefix are a tenant's, and what it may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// Which keys it is for.
    pub prefix: TenantPrefix,
    /// Share of the vCPU-seconds against the other tenants of its class, 1–1000.
    #[serde(default = "one")]
    pub weight: u32,
    /// Most tasks at a time of each tenant; 0 sets no limit.
    #[serde(default)]
    pub max_tasks: u32,
    /// Most vCPU at a time of each tenant; 0 sets no limit.
    #[serde(default)]
    pub max_vcpu: u32,
    /// Who comes first.
    #[serde(default)]
    pub priority: Priority,
}

fn one() -> u32 {
    1
}

/// Class of a tenant. A higher one comes first; see `docs/fairness.md` for what a lower one gets all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    High,
    /// Where nothing is said.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// All, the first to come first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Its name in settings and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// The keys of a tenant: a prefix that ends with `/`, with a capture for one part of the key where each value is a
/// tenant of its own, such as `tenants/{id}/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct TenantPrefix {
    text: String,
    /// What comes before the capture; all of it where there is none.
    before: String,
    /// What comes after it; starts and ends with `/`.
    after: Option<String>,
}

impl TenantPrefix {
    /// The beginning of the key that names its tenant: `tenants/acme/`; none of a key that is not for this rule.
    pub fn tenant_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(self.before.as_str())?;
        let Some(after) = &self.after else { return key.get(..self.before.len()) };
        let id = rest.find('/').filter(|at| *at > 0)?;
        rest.get(id..)?.starts_with(after.as_str()).then_some(())?;
        key.get(..self.before.len() + id + after.len())
    }

    /// What all its keys begin with.
    pub fn literal(&self) -> &str {
        &self.before
    }

    /// Whether each value of a part of the key is a tenant of its own.
    pub fn captures(&self) -> bool {
        self.after.is_some()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for TenantPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const SHAPE: &str = "a prefix that ends with `/`, with at most one capture that is a whole part of the key, such \
                             as `tenants/{id}/`";
        let refused = || format!("{text:?} must be {SHAPE}");
        if !text.ends_with('/') || text.starts_with('/') {
            return Err(refused());
        }
        let Some((before, rest)) = text.split_once('{') else {
            return if text.contains('}') { Err(refused()) } else { Ok(Self::plain(text)) };
        };
        let (name, after) = rest.split_once('}').ok_or_else(refused)?;
        let named = !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        let whole = (before.is_empty() || before.ends_with('/')) && after.starts_with('/');
        if !named || !whole || after.contains(['{', '}']) || before.contains('}') {
            return Err(refused());
        }
        let (before, after) = (before.to_owned(), Some(after.to_owned()));
        Ok(Self { text, before, after })
    }
}

impl TenantPrefix {
    fn plain(text: String) -> Self {
        Self { before: text.clone(), after: None, text }
    }
}

impl From<TenantPrefix> for String {
    fn from(prefix: TenantPrefix) -> Self {
        prefix.text
    }
}

/// The rule that a key falls under, and the beginning of the key that names the tenant. The longest beginning counts; of
/// two alike the one without a capture.
pub fn rule_of<'r, 'k>(rules: &'r [TenantSettings], key: &'k str) -> Option<(&'r TenantSettings, &'k str)> {
    rules
        .iter()
        .filter_map(|rule| Some((rule, rule.prefix.tenant_of(key)?)))
        .max_by_key(|(rule, tenant)| (tenant.len(), !rule.prefix.captures()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Result<TenantPrefix, String> {
        TenantPrefix::try_from(text.to_owned())
    }

    fn rule(text: &str) -> TenantSettings {
        let prefix = prefix(text).expect(text);
        TenantSettings { prefix, weight: 1, max_tasks: 0, max_vcpu: 0, priority: Priority::Normal }
    }

    #[test]
    fn each_captured_part_of_a_key_is_a_tenant_of_its_own() {
        let of = |text: &str, key: &'static str| prefix(text).expect(text).tenant_of(key);
        assert_eq!(of("tenants/{id}/", "tenants/acme/cat.mp4"), Some("tenants/acme/"));
        assert_eq!(of("tenants/{id}/", "tenants/bé/x/y.mp4"), Some("tenants/bé/"));
        assert_eq!(of("{id}/", "acme/cat.mp4"), Some("acme/"));
        assert_eq!(of("a/{id}/in/", "a/b/in/cat.mp4"), Some("a/b/in/"));
        assert_eq!(of("a/", "a/b/cat.mp4"), Some("a/"));
        for (text, key) in [
            ("tenants/{id}/", "tenants/cat.mp4"),
            ("tenants/{id}/", "tenants//cat.mp4"),
            ("tenants/{id}/", "others/acme/cat.mp4"),
            ("a/{id}/in/", "a/b/c/in/cat.mp4"),
            ("a/", "ab/cat.mp4"),
        ] {
            assert_eq!(of(text, key), None, "{text} {key}");
        }
    }

    #[test]
    fn the_longest_beginning_counts_and_of_two_alike_the_one_that_is_written_out() {
        let rules = ["tenants/{id}/", "tenants/acme/", "tenants/{id}/vip/"].map(rule);
        let of = |key| rule_of(&rules, key).map(|(rule, tenant)| (rule.prefix.as_str(), tenant));
        assert_eq!(of("tenants/acme/a.mp4"), Some(("tenants/acme/", "tenants/acme/")));
        assert_eq!(of("tenants/b/a.mp4"), Some(("tenants/{id}/", "tenants/b/")));
        assert_eq!(of("tenants/b/vip/a.mp4"), Some(("tenants/{id}/vip/", "tenants/b/vip/")));
        assert_eq!(of("a.mp4"), None);
    }

    #[test]
    fn what_is_no_prefix_of_whole_parts_is_refused() {
        for text in [
            "",
            "a",
            "/a/",
            "a{id}/",
            "a/{id}",
            "a/{}/",
            "a/{id}x/",
            "a/{i d}/",
            "a/{x}/{y}/",
            "a}/",
            "a/{x/",
            "}{a}/",
        ] {
            let error = prefix(text).expect_err(text);
            assert!(error.contains("tenants/{id}/"), "{error}");
        }
    }
}
