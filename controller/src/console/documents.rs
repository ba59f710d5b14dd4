//! What the pages read of the commands' documents. Their field names are an interface; what is missing is left out.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use transcode_config::contract::{
    Claim, FailureCode, Heartbeat, JobKey, JobSpec, JobStatus, Published, Terminal,
};

/// Reads a document. An error means that two versions of the program met, which the person is told.
pub(super) fn read<D: DeserializeOwned>(document: Value) -> Result<D, String> {
    serde_json::from_value(document).map_err(|error| format!("the answer is not understood: {error}"))
}

/// `list`.
#[derive(Debug, Deserialize)]
pub(super) struct JobList {
    pub(super) environment: String,
    /// `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    pub(super) controller: String,
    pub(super) reported_at_ms: Option<u64>,
    pub(super) jobs: Vec<Row>,
    pub(super) more: bool,
    /// What holds everything up, in lines.
    pub(super) says: Vec<String>,
}

/// A job of `list`.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) job: JobKey,
    pub(super) state: String,
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) key_cut: bool,
    pub(super) profile: Option<String>,
    pub(super) since_ms: u64,
    pub(super) ended_at_ms: Option<u64>,
    pub(super) code: Option<String>,
    pub(super) attempt: Option<u32>,
    pub(super) stage: Option<String>,
    pub(super) percent: Option<f32>,
    pub(super) speed: Option<f32>,
    pub(super) why: Option<String>,
}

/// A job of `get`, with what the desk adds.
#[allow(clippy::struct_field_names, reason = "the document's names")]
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) job: JobKey,
    pub(super) spec: Option<JobSpec>,
    /// The oldest first.
    pub(super) attempts: Vec<Attempted>,
    pub(super) terminal: Option<Terminal>,
    pub(super) live: Option<Published>,
    pub(super) report: Option<JobStatus>,
    pub(super) story: Vec<Moment>,
    pub(super) result: Option<Made>,
    pub(super) cost_usd: Option<f64>,
    /// A newer job is live instead of this succeeded one.
    #[serde(default)]
    pub(super) superseded: bool,
    /// `says` of `explain`.
    pub(super) says: String,
    /// Whether its controller speaks: the same as in `list`.
    pub(super) controller: String,
    /// `verification.json` of the package.
    pub(super) verification: Option<Verification>,
}

/// An attempt's documents.
#[derive(Debug, Deserialize)]
pub(super) struct Attempted {
    pub(super) claim: Claim,
    pub(super) heartbeat: Option<Heartbeat>,
}

/// An event of the job's story.
#[derive(Debug, Deserialize)]
pub(super) struct Moment {
    pub(super) at_ms: u64,
    pub(super) what: String,
    pub(super) attempt: Option<u32>,
    pub(super) detail: String,
}

/// `result` of `metadata.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Made {
    pub(super) seconds: Option<f64>,
    pub(super) video: Vec<Rendition>,
    pub(super) audio: Vec<Rendition>,
    pub(super) text: Vec<Rendition>,
    pub(super) warnings: Vec<String>,
}

/// A rendition of `metadata.json`; each kind has some of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rendition {
    pub(super) name: Option<String>,
    pub(super) language: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) frame_rate: Option<f64>,
    pub(super) channels: Option<u32>,
    pub(super) codec: Option<String>,
    pub(super) average_bps: Option<u64>,
    pub(super) peak_bps: Option<u64>,
}

/// `verification.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Verification {
    pub(super) passed: bool,
    pub(super) checks: Vec<Check>,
}

/// One rule, applied to one thing.
#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub(super) rule: String,
    pub(super) subject: String,
    pub(super) measured: String,
    pub(super) allowed: String,
    pub(super) passed: bool,
    #[serde(default)]
    pub(super) advisory: bool,
}

/// `dead-letters list`.
#[derive(Debug, Deserialize)]
pub(super) struct Letters {
    pub(super) letters: Vec<Letter>,
    pub(super) complete: bool,
}

/// A letter.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    pub(super) queue: String,
    pub(super) message_id: String,
    /// `dead`, `moved` or `unreadable`.
    pub(super) kind: String,
    pub(super) job: Option<JobKey>,
    pub(super) code: Option<FailureCode>,
    pub(super) key: Option<String>,
    pub(super) sent_at_ms: u64,
    pub(super) why: String,
}
