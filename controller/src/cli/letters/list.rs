//! `dead-letters list`: looks at letters, which stay where they are.

use clap::Args;
use serde::Serialize;
use transcode_config::{
    Settings,
    contract::{FailureCode, JobKey},
};

use super::{
    filter::Filter,
    hold::{MAX_READ, Reading, with_letters},
    letter::{Content, Letter},
};
use crate::{
    cli::{
        find::{SHORT_KEY, tenant},
        output::{Cut, Show, Table, Text, Tint, address, span, time},
        setup::Session,
    },
    runtime::wall_ms,
};

/// A letter that is looked at is invisible for this long, in seconds, should the command be killed.
pub(super) const VISIBILITY: i32 = 60;

/// Letters that are listed where no option says how many.
pub(crate) const LISTED: usize = 1_000;

/// Most characters of a reason in a table.
const MAX_WHY: usize = 80;

/// Which letters to list.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// List at most this many.
    #[arg(long, value_name = "N", default_value_t = LISTED)]
    max: usize,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        session.output.print(&listed(session, &self.filter, self.max).await?)
    }
}

/// At most `max` of the letters that are meant, the oldest first. They are given back at once.
pub(crate) async fn listed(session: &Session, filter: &Filter, max: usize) -> anyhow::Result<Listed> {
    let mut found = Listed { letters: Vec::new(), others: 0, complete: true, now_ms: wall_ms() };
    for queue in filter.queues(&session.settings)? {
        let most = max.min(MAX_READ).saturating_sub(found.letters.len());
        let reading = Reading { visibility_seconds: VISIBILITY, most };
        with_letters(session, filter, queue, reading, async |hold| {
            found.letters.extend(hold.letters.iter().map(|letter| Row::of(letter, &session.settings)));
            found.others += hold.others;
            found.complete &= hold.complete;
            Ok(())
        })
        .await?;
    }
    Ok(found)
}

/// The result of `list`.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    letters: Vec<Row>,
    /// Letters that were read and not chosen.
    others: usize,
    /// Whether every letter was read.
    complete: bool,
    #[serde(skip)]
    now_ms: u64,
}

impl Show for Listed {
    fn people(&self, text: &mut Text) {
        let table = Table::of(&["AGE", "CODE", "JOB", "OBJECT", "REASON"]);
        let table = table.cut("REASON", Cut::End(30)).cut("JOB", Cut::Key(SHORT_KEY));
        let mut table = table.cut("OBJECT", Cut::Middle(16)).cut("REASON", Cut::End(16));
        for row in &self.letters {
            let plain = |words: String| (Tint::Plain, words);
            let object = row.bucket.as_deref().zip(row.key.as_deref());
            table.row([
                plain(span(self.now_ms.saturating_sub(row.sent_at_ms))),
                (Tint::Bad, row.code.map_or_else(|| "moved by SQS".to_owned(), |code| code.to_string())),
                plain(row.name().to_owned()),
                plain(object.map(|(bucket, key)| address(bucket, key)).unwrap_or_default()),
                plain(row.why.chars().take(MAX_WHY).collect()),
            ]);
        }
        if self.letters.is_empty() {
            text.line(if self.others == 0 { "no letters" } else { "no such letters" });
        } else {
            table.write(text);
        }
        if !self.complete {
            text.line(&format!("there are more: {} were listed; choose, or give --max", self.letters.len()));
        }
    }

    fn names(&self) -> Vec<String> {
        self.letters.iter().map(|row| row.name().to_owned()).collect()
    }
}

/// What a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A job that died.
    Dead,
    /// A message that SQS moved, unchanged.
    Moved,
    /// What the controller could not read either.
    Unreadable,
}

/// A letter in a table, or an entry of JSON.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    queue: String,
    message_id: String,
    kind: Kind,
    job: Option<JobKey>,
    code: Option<FailureCode>,
    bucket: Option<String>,
    key: Option<String>,
    tenant: Option<String>,
    sent_at_ms: u64,
    /// More jobs than `job`, of a message that asks for several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more_jobs: Vec<JobKey>,
    /// What is wrong, or why it cannot be redriven.
    why: String,
}

impl Row {
    /// The job's key; of what names no job, the message's id.
    pub(super) fn name(&self) -> &str {
        self.job.as_ref().map_or(&self.message_id, |job| job.as_str())
    }

    /// The row as lines, one fact each.
    pub(super) fn lines(&self, line: &mut impl FnMut(&str, &str)) {
        line(
            "message",
            &format!(
                "{} in the dead-letter queue of {}, since {}",
                self.message_id,
                self.queue,
                time(self.sent_at_ms)
            ),
        );
        for job in self.job.iter().chain(&self.more_jobs) {
            line("job", job.as_str());
        }
        if let (Some(bucket), Some(key)) = (&self.bucket, &self.key) {
            line("object", &address(bucket, key));
        }
        if let Some(tenant) = &self.tenant {
            line("tenant", tenant);
        }
        let code = self.code.map(|code| format!("{code}: ")).unwrap_or_default();
        line("reason", &format!("{code}{}", self.why));
    }

    pub(super) fn of(letter: &Letter, settings: &Settings) -> Self {
        let (kind, why) = match &letter.content {
            Content::Dead(dead, Ok(_)) => (Kind::Dead, dead.dead.failure.message.clone()),
            Content::Dead(dead, Err(why)) => {
                (Kind::Dead, format!("{}; cannot be redriven: {why}", dead.dead.failure.message))
            }
            Content::Moved(_) => {
                (Kind::Moved, "moved by SQS: no controller deleted it in all its receives".into())
            }
            Content::Unreadable(why, _) => (Kind::Unreadable, why.clone()),
        };
        let object = letter.objects().first().map(|(bucket, key)| ((*bucket).to_owned(), (*key).to_owned()));
        let (bucket, key) = object.unzip();
        let named = bucket.as_deref().zip(key.as_deref());
        let mut jobs = letter.jobs().into_iter().cloned();
        Self {
            queue: letter.queue.clone(),
            message_id: letter.id.clone(),
            kind,
            job: jobs.next(),
            code: letter.code(),
            tenant: named.and_then(|(bucket, key)| tenant::of(settings, bucket, key)),
            bucket,
            key,
            sent_at_ms: letter.sent_at_ms,
            more_jobs: jobs.collect(),
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::letter::tests::{dead, letter, request},
        *,
    };
    use crate::cli::{letters::filter::tests::settings, output::prints};

    #[test]
    fn letters_are_listed_with_their_reasons() {
        let settings = settings();
        let found = [
            letter(
                &dead("tenants/acme/a long name of a film that nobody cut.mp4", FailureCode::NotMedia),
                1_000,
            ),
            letter(&request("films/b.mov"), 50_000),
            letter("not ours", 51_000),
        ];
        let letters = found.iter().map(|letter| Row::of(letter, &settings)).collect();
        prints("dead-letters-list", &Listed { letters, others: 2, complete: false, now_ms: 3_600_000 });
        prints(
            "dead-letters-list-none",
            &Listed { letters: Vec::new(), others: 0, complete: true, now_ms: 0 },
        );
    }
}
