//! Which letters a command is about.

use clap::Args;
use transcode_config::{
    Settings,
    contract::{FailureCode, JobKey},
};

use super::letter::Letter;
use crate::{
    aws::pattern,
    cli::{
        find::{JobBegin, tenant},
        output::milliseconds,
    },
};

/// Letters to choose; without any option all of them.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct Filter {
    /// Only letters of this job: its key, or the first 8 characters of it or more.
    #[arg(long)]
    job: Option<JobBegin>,
    /// Only letters with this failure code, such as `NOT_MEDIA`; may be given several times.
    #[arg(long, value_name = "CODE", value_parser = failure_code)]
    code: Vec<FailureCode>,
    /// Only letters of objects with this key: a prefix, or a pattern if it has `*` or `?`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only letters of this tenant: `acme`, or as in the logs `uploads/tenants/acme/`.
    #[arg(long)]
    tenant: Option<String>,
    /// Only letters that have been there for longer, such as `90m`, `12h` or `3d`.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    older_than: Option<u64>,
    /// Only letters that came later than this long ago.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    newer_than: Option<u64>,
    /// Only letters of this queue of the settings.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

impl Filter {
    /// The letters of one job.
    pub(super) fn of(job: &JobKey) -> Self {
        Self { job: Some(job.into()), ..Self::default() }
    }

    /// The queues to read: name and address of the dead-letter queue.
    pub(super) fn queues<'a>(&self, settings: &'a Settings) -> anyhow::Result<Vec<(&'a str, &'a str)>> {
        let wanted = |name: &str| self.queue.as_deref().is_none_or(|queue| queue == name);
        let queues = settings.queues.iter().filter(|(name, _)| wanted(name));
        let found: Vec<_> =
            queues.map(|(name, queue)| (name.as_str(), queue.dead_letter_url.as_str())).collect();
        let names = || settings.queues.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(!found.is_empty(), "--queue: the settings have {}", names());
        Ok(found)
    }

    /// Whether no option leaves any letter out.
    pub(super) fn is_everything(&self) -> bool {
        let Self { job, code, key, tenant, older_than, newer_than, queue } = self;
        let texts = [key, tenant, queue].iter().all(|text| text.is_none());
        texts && job.is_none() && code.is_empty() && older_than.is_none() && newer_than.is_none()
    }

    /// An error if the job that was named is not the only one among the chosen letters.
    pub(super) fn names_one_job(&self, letters: &[Letter]) -> anyhow::Result<()> {
        let Some(begin) = &self.job else { return Ok(()) };
        begin.only(letters.iter().flat_map(Letter::jobs))
    }

    /// Whether a letter is chosen. `now_ms` is the wall clock.
    pub(super) fn takes(&self, letter: &Letter, settings: &Settings, now_ms: u64) -> bool {
        let age = now_ms.saturating_sub(letter.sent_at_ms);
        let objects = letter.objects();
        let code = || letter.code().is_some_and(|code| self.code.contains(&code));
        let key =
            |wanted: &str| objects.iter().any(|(_, key)| pattern::prefix_or_pattern(wanted, key.as_bytes()));
        let of_tenant = |wanted: &str| {
            let mut names = objects.iter().filter_map(|(bucket, key)| tenant::of(settings, bucket, key));
            names.any(|name| tenant::is_called(&name, wanted))
        };
        self.job.as_ref().is_none_or(|begin| letter.jobs().into_iter().any(|job| begin.takes(job)))
            && (self.code.is_empty() || code())
            && self.key.as_deref().is_none_or(key)
            && self.tenant.as_deref().is_none_or(of_tenant)
            && self.older_than.is_none_or(|least| age > least)
            && self.newer_than.is_none_or(|most| age < most)
    }
}

fn failure_code(text: &str) -> Result<FailureCode, String> {
    let wanted = text.to_uppercase().replace('-', "_");
    let found = FailureCode::ALL.iter().find(|code| code.info().name == wanted);
    found.copied().ok_or_else(|| "no failure code; docs/errors.md lists them".to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use transcode_config::contract::FailureCode;

    use super::{
        super::letter::tests::{dead, letter, request},
        *,
    };

    pub(in crate::cli::letters) fn settings() -> Settings {
        let text = format!(
            "{}\n[[sources.uploads.tenants]]\nprefix = \"tenants/{{id}}/\"\n",
            r#"
            environment = "test"
            queues.default = { url = "q", dead_letter_url = "d" }
            sources.uploads.bucket = "uploads"
            state.bucket = "state"
            output.bucket = "videos"
            cluster = { name = "c", task_definition = "t", subnets = ["s"] }
            "#
        );
        transcode_config::load::from_text(&text, figment::providers::Env::prefixed("NOT_SET_")).unwrap()
    }

    #[test]
    fn letters_are_chosen_by_code_age_key_and_tenant() {
        let settings = settings();
        let ours = letter(&dead("tenants/acme/a.mp4", FailureCode::NotMedia), 1_000);
        let moved = letter(&request("films/b.mov"), 50_000);
        let takes = |filter: &Filter| [&ours, &moved].map(|it| filter.takes(it, &settings, 61_000));
        let of = |key: &str| Filter { key: Some(key.into()), ..Filter::default() };
        assert_eq!(takes(&Filter::default()), [true, true]);
        let code = Filter { code: vec![FailureCode::NotMedia], ..Filter::default() };
        assert_eq!(takes(&code), [true, false], "what SQS moved has no code");
        assert_eq!(takes(&of("films/")), [false, true]);
        assert_eq!(takes(&of("*.mp4")), [true, false]);
        assert_eq!(takes(&of("a.mp4")), [false, false], "a prefix of the whole key");
        for tenant in ["acme", "tenants/acme/", "uploads/tenants/acme/", "uploads/tenants/acme"] {
            let filter = Filter { tenant: Some(tenant.into()), ..Filter::default() };
            assert_eq!(takes(&filter), [true, false], "{tenant}");
        }
        let old = Filter { older_than: Some(30_000), ..Filter::default() };
        let new = Filter { newer_than: Some(30_000), ..Filter::default() };
        assert_eq!((takes(&old), takes(&new)), ([true, false], [false, true]));
        let short: JobBegin = moved.jobs()[0].as_str()[..8].parse().unwrap();
        let one = Filter { job: Some(short), ..Filter::default() };
        assert_eq!(takes(&one), [false, true]);
        let queue = Filter { queue: Some("other".into()), ..Filter::default() };
        assert!(queue.queues(&settings).unwrap_err().to_string().contains("default"));
    }

    #[test]
    fn codes_are_known() {
        assert_eq!(failure_code("not-media"), Ok(FailureCode::NotMedia));
        assert!(failure_code("NOT_A_CODE").is_err());
    }
}
