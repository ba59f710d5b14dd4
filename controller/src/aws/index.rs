//! The index of jobs in the state bucket ([`transcode_config::contract::IndexKey`]): writing an entry, and reading many
//! of them with few calls.

use aws_sdk_s3::{operation::list_objects_v2::ListObjectsV2Output, primitives::ByteStream};
use transcode_config::contract::{EndState, IndexEntry, IndexKey, JobKey, JobSpec, Terminal, source_folder};
use transcode_core::protocol::fact::CallError;

use super::{class::call_error, state::S3Store};

const LIST: &str = "s3:ListObjectsV2";
const PUT: &str = "s3:PutObject";

/// Keys of a page: S3's own most.
const PAGE: usize = 1000;

/// Most jobs that one reading gives: 21 calls.
const MOST_ROWS: usize = 10_000;

/// One job of the index. At least one of the two entries is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct IndexRow {
    pub job: JobKey,
    /// When it was accepted (ms since 1970).
    pub accepted_at_ms: u64,
    /// Its source; none for a request that was refused, and for a job that an older version accepted.
    pub accepted: Option<Accepted>,
    /// Its end; none while it is not settled.
    pub ended: Option<Ended>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Accepted {
    pub profile: String,
    pub bucket: String,
    /// Object key of the source, or its beginning. A stranger's word.
    pub key: String,
    /// The object key is longer; `spec.json` has the whole.
    pub cut: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Ended {
    pub state: EndState,
    /// Name of the failure code of a dead job.
    pub code: Option<String>,
    /// When its terminal record was written (ms since 1970).
    pub ended_at_ms: u64,
}

/// The answer of a reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// The jobs, the newest first.
    pub rows: Vec<IndexRow>,
    /// There are older jobs within what was asked for.
    pub more: bool,
}

impl S3Store {
    /// Jobs that were accepted between two times (ms since 1970, both included; none is no bound), the newest first, at
    /// most `limit`. A call for each 1,000 keys: 1,000 jobs have up to 2,000.
    pub async fn recent(
        &self,
        since_ms: Option<u64>,
        until_ms: Option<u64>,
        limit: usize,
    ) -> Result<Recent, CallError> {
        let limit = limit.min(MOST_ROWS);
        let mut rows = Rows { since_ms: since_ms.unwrap_or(0), limit, found: Recent::default() };
        let mut after = until_ms.map(IndexKey::start_at);
        // A row more than asked for shows that the last one is whole, and that there are more.
        for _ in 0..=(2 * limit + 2).div_ceil(PAGE) {
            let page = self.list(IndexKey::prefix(), after.as_deref()).await?;
            let mut keys = page.contents().iter().filter_map(|object| object.key());
            if keys.all(|key| rows.take(key)) && page.is_truncated() == Some(true) {
                after = page.contents().last().and_then(|object| object.key()).map(str::to_owned);
                continue;
            }
            return Ok(rows.found);
        }
        // Foreign keys fill the pages.
        rows.found.more = true;
        Ok(rows.found)
    }

    /// The jobs of one object and when each was accepted (ms since 1970), the newest first; at most 1,000.
    pub async fn of_object(&self, bucket: &str, key: &str) -> Result<Vec<(u64, JobKey)>, CallError> {
        let page = self.list(&source_folder(bucket, key), None).await?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        Ok(keys.filter_map(IndexKey::parse_source).collect())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<ListObjectsV2Output, CallError> {
        let list = self.clients.read.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let listed = list.set_start_after(after.map(str::to_owned)).send().await;
        listed.map_err(|error| call_error(LIST, &error))
    }

    /// Writes the entries of a job that is accepted.
    pub(super) async fn index_accepted(&self, spec: &JobSpec) -> Result<(), CallError> {
        self.put_entry(IndexKey::accepted(spec).to_key()).await?;
        self.put_entry(IndexKey::source_key(spec)).await
    }

    /// Writes the entry of a decided job; and those of its acceptance, if no attempt was claimed: the claim of the first
    /// one comes after them. `asked` is the job as a message asks for it.
    pub(super) async fn index_ended(
        &self,
        terminal: &Terminal,
        spec: Option<&JobSpec>,
        asked: Option<&JobSpec>,
    ) -> Result<(), CallError> {
        // Without a specification, the time of the end is the only one that stays.
        let at_its_end =
            |asked: &JobSpec| JobSpec { accepted_at_ms: terminal.written_at_ms, ..asked.clone() };
        let asked = asked.filter(|_| spec.is_none()).map(at_its_end);
        let spec = spec.or(asked.as_ref());
        if let Some(spec) = spec.filter(|_| terminal.outcome.never_claimed()) {
            self.index_accepted(spec).await?;
        }
        let accepted_at_ms = spec.map_or(terminal.written_at_ms, |spec| spec.accepted_at_ms);
        self.put_entry(IndexKey::ended(accepted_at_ms, terminal).to_key()).await
    }

    async fn put_entry(&self, key: String) -> Result<(), CallError> {
        let put = self.clients.write.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from_static(b"")).send().await;
        put.map(|_| ()).map_err(|error| call_error(PUT, &error))
    }
}

/// The rows of a reading, as their keys come in.
struct Rows {
    since_ms: u64,
    limit: usize,
    found: Recent,
}

impl Rows {
    /// Takes a key in. Returns whether the next one may belong to the reading.
    fn take(&mut self, key: &str) -> bool {
        let Some(IndexKey { job, accepted_at_ms, entry }) = IndexKey::parse(key) else { return true };
        if accepted_at_ms < self.since_ms {
            return false;
        }
        let rows = &mut self.found.rows;
        if rows.last().is_none_or(|row| (&row.job, row.accepted_at_ms) != (&job, accepted_at_ms)) {
            if rows.len() == self.limit {
                self.found.more = true;
                return false;
            }
            rows.push(IndexRow { job, accepted_at_ms, accepted: None, ended: None });
        }
        let Some(row) = rows.last_mut() else { return true };
        match entry {
            IndexEntry::Accepted { profile, bucket, key, cut } => {
                row.accepted.get_or_insert(Accepted { profile, bucket, key, cut });
            }
            IndexEntry::Ended { state, code, ended_at_ms } => {
                row.ended.get_or_insert(Ended { state, code, ended_at_ms });
            }
        }
        true
    }
}
