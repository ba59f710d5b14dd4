//! Questions of the server to the command that started it.
//!
//! The command answers them with its own session, several at a time; the server only waits. A question that nobody
//! answers in time is given up.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use transcode_config::contract::JobKey;

/// Longest time for an answer. Reading a full dead-letter queue takes the longest.
const PATIENCE: Duration = Duration::from_mins(1);

/// Questions that wait to be taken up.
const WAITING: usize = 32;

/// What the server asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// The document of `list`, with `says`: silence and pauses, in lines.
    Jobs(Filter),
    /// The jobs of an object, or the job itself, the newest first: `{"jobs": […]}`.
    Find(String),
    /// The job in the document of `get`, with `says` of `explain` and the package's `verification`.
    Job(JobKey),
    /// The document of `explain`.
    Explain(JobKey),
    /// The document of `events`.
    Events(JobKey),
    /// The document of `dead-letters list`. It holds the letters for a moment, so that it is not asked again and again.
    Letters,
    /// The document of `plan`.
    Plan,
    /// The controller's report without its jobs; null if there is none.
    Report,
    /// Where the job's outputs lie: a [`Place`].
    Place(JobKey),
    /// Ends a job without a result, for this reason.
    Cancel(JobKey, String),
    /// Runs a dead or cancelled job anew. Answers `{"job": …}` with the next generation's key, where it is known.
    Retry(JobKey),
    /// Moves the letters of a job back to their queue. Answers `{"moved": …}`.
    Redrive(JobKey),
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only jobs in this state.
    pub(crate) state: Option<String>,
    /// Only jobs of this tenant: bucket and prefix.
    pub(crate) tenant: Option<String>,
    /// Only jobs whose object key, or own key, contains this.
    pub(crate) text: Option<String>,
    /// Most jobs.
    pub(crate) limit: u32,
}

/// Where a job's outputs lie.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// The stable prefix, which ends with a slash.
    pub(crate) prefix: String,
}

/// A document, or why there is none, for a person.
pub(crate) type Answer = Result<Value, String>;

/// A question and the way back.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) question: Question,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Where the server asks.
#[derive(Debug, Clone)]
pub(crate) struct Desk(mpsc::Sender<Ask>);

/// A desk, and where its questions arrive.
pub(crate) fn desk() -> (Desk, mpsc::Receiver<Ask>) {
    let (send, receive) = mpsc::channel(WAITING);
    (Desk(send), receive)
}

impl Desk {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, question: Question) -> Answer {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(Ask { question, answer }).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err("the console is ending".to_owned()),
            Err(_) => Err(format!("no answer from AWS within {} s", PATIENCE.as_secs())),
        }
    }
}
