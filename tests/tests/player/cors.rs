//! What S3 tells a browser by a bucket's CORS rules; the emulator lets everything pass.
//!
//! Source: "How does Amazon S3 evaluate the CORS configuration on a bucket?", S3 user guide.

use std::collections::BTreeMap;

use aws_sdk_s3::{Client, types::CorsRule};

/// The rules of some buckets.
#[derive(Debug)]
pub(crate) struct Cors(BTreeMap<String, Vec<CorsRule>>);

/// The head of a request.
pub(crate) struct Head<'a> {
    text: &'a str,
}

impl<'a> Head<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text }
    }

    pub(crate) fn method(&self) -> &'a str {
        self.text.split(' ').next().unwrap_or_default()
    }

    fn bucket(&self) -> &'a str {
        let path = self.text.split(' ').nth(1).unwrap_or_default();
        path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let pairs = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

impl Cors {
    pub(crate) async fn of(s3: &Client, buckets: &[&String]) -> Self {
        let mut rules = BTreeMap::new();
        for bucket in buckets {
            let found = s3.get_bucket_cors().bucket(*bucket).send().await.unwrap();
            rules.insert((*bucket).clone(), found.cors_rules.unwrap());
        }
        Self(rules)
    }

    /// The answer to a preflight.
    pub(crate) fn preflight(&self, head: &Head<'_>) -> String {
        let method = head.header("access-control-request-method").unwrap_or_default();
        let asked = head.header("access-control-request-headers").unwrap_or_default();
        let allows = |rule: &&CorsRule| {
            asked.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| {
                let name = name.to_lowercase();
                rule.allowed_headers().iter().any(|pattern| fits(&pattern.to_lowercase(), &name))
            })
        };
        let Some(rule) = self.rules(head, method).find(allows) else {
            return "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".into();
        };
        let shared = shared(rule, head);
        format!(
            "HTTP/1.1 200 OK\r\n{shared}access-control-allow-headers: {asked}\r\naccess-control-max-age: {}\r\n\
             content-length: 0\r\n\r\n",
            rule.max_age_seconds().unwrap_or_default()
        )
    }

    /// The lines of an answer.
    pub(crate) fn lines(&self, head: &Head<'_>) -> String {
        self.rules(head, head.method()).next().map(|rule| shared(rule, head)).unwrap_or_default()
    }

    fn rules<'a>(&'a self, head: &Head<'_>, method: &str) -> impl Iterator<Item = &'a CorsRule> {
        let origin = head.header("origin").unwrap_or_default().to_owned();
        let method = method.to_owned();
        let rules = self.0.get(head.bucket()).into_iter().flatten();
        rules.filter(move |rule| {
            rule.allowed_methods().contains(&method)
                && rule.allowed_origins().iter().any(|pattern| fits(pattern, &origin))
        })
    }
}

fn shared(rule: &CorsRule, head: &Head<'_>) -> String {
    format!(
        "access-control-allow-origin: {}\r\naccess-control-allow-methods: {}\r\naccess-control-expose-headers: {}\r\n",
        head.header("origin").unwrap_or_default(),
        rule.allowed_methods().join(", "),
        rule.expose_headers().join(", "),
    )
}

/// One `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, end)) => {
            text.len() >= begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end)
        }
    }
}
