//! The page between a button and what it does: it says what will happen and asks once more.

use transcode_config::contract::JobKey;

use super::frame::{Head, page};
use crate::console::markup::{Html, html};

/// What a person may do to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::console) enum Action {
    Cancel,
    Retry,
    Redrive,
}

impl Action {
    /// The action as the word in addresses and forms.
    pub(in crate::console) const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Redrive => "redrive",
        }
    }

    /// Question, what follows, and the button's words.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::Cancel => [
                "Cancel this job?",
                "Its task is stopped, its message is deleted, it has no result, and it is not tried again.",
                "Cancel the job",
            ],
            Self::Retry => [
                "Run this job anew?",
                "It runs as its next generation, a job of its own, and costs what a run costs.",
                "Run it anew",
            ],
            Self::Redrive => [
                "Move its dead letter back?",
                "The message goes back to the job queue, and the job runs as its next generation. If the cause is not \
                 repaired, it dies again.",
                "Move it back",
            ],
        }
    }
}

/// The page.
pub(in crate::console) fn confirm(action: Action, job: &JobKey, token: &str) -> String {
    let [question, follows, button] = action.words();
    let mut body = Html::default();
    html! { body, "<h1>" (question) "</h1>\n<p>Job <a href=\"/jobs/" (job) "\"><code>" (job) "</code></a></p>\n<p>"
    (follows)
    "</p>\n<form class=\"confirm\" method=\"post\" action=\"/act\">\n<input type=\"hidden\" name=\"token\" value=\"" (token)
    "\"><input type=\"hidden\" name=\"action\" value=\"" (action.name())
    "\"><input type=\"hidden\" name=\"job\" value=\""
    (job) "\">\n" }
    if action == Action::Cancel {
        body.raw("<label>Why? The log and the record show it. <input name=\"why\" required maxlength=\"500\"></label>\n");
    }
    html! { body, "<button class=\"" (if action == Action::Cancel { "danger" } else { "strong" }) "\">" (button)
    "</button> <a href=\"/jobs/" (job) "\">Leave it as it is</a>\n</form>\n" }
    page(&Head { title: question, ..Head::default() }, &body)
}
