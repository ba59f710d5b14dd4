//! Warnings and errors of the controller's own log.

use serde_json::Value;

use crate::observe::http::Unwritten;

/// Begin of the message of an unwritten report, and the message of its end: `events/log.rs` writes both.
const UNWRITTEN: &str = "status report cannot be written";
pub(super) const WRITTEN: &str = "status report written again";

/// What the log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Log {
    /// `cluster.controller_log_group` is not set.
    #[default]
    Unset,
    /// It cannot be read, for this reason.
    Unread(String),
    /// The newest lines, the oldest first.
    Read(Vec<Line>),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it was written (ms since 1970).
    pub(crate) at_ms: u64,
    /// `ERROR`, `WARN` or `INFO`.
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) job: Option<String>,
    /// The failed call with the words of AWS, or another reason.
    pub(crate) why: Option<String>,
}

impl Line {
    /// Reads a line; `None` if it is not one of the controller's JSON lines, or tells of no trouble.
    pub(super) fn parse(at_ms: u64, text: &str) -> Option<Self> {
        let fields: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| fields[name].as_str().map(str::to_owned);
        let (level, message) = (word("level")?, word("message")?);
        let tells = matches!(level.as_str(), "WARN" | "ERROR") || message == WRITTEN;
        let why = word("error").or_else(|| word("reason")).or_else(|| word("trouble"));
        tells.then_some(Self { at_ms, level, message, job: word("job"), why })
    }

    /// Message and reason in one phrase.
    pub(crate) fn says(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.message),
            None => self.message.clone(),
        }
    }
}

impl Log {
    /// The lines that were read.
    pub(crate) fn lines(&self) -> &[Line] {
        match self {
            Self::Read(lines) => lines,
            Self::Unset | Self::Unread(_) => &[],
        }
    }

    /// Since when the report cannot be written, if the last line about it says so. The first of the lines that are there
    /// may not be the first that was written.
    pub(super) fn unwritten(&self) -> Option<Unwritten> {
        let mut told: Option<Unwritten> = None;
        for line in self.lines() {
            if line.message == WRITTEN {
                told = None;
            } else if line.message.starts_with(UNWRITTEN) {
                let since_ms = told.map_or(line.at_ms, |told| told.since_ms);
                told = Some(Unwritten { since_ms, why: line.why.clone().unwrap_or_default() });
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at_ms: u64, text: &str) -> Option<Line> {
        Line::parse(at_ms, text)
    }

    fn unwritten(at_ms: u64, why: &str) -> Line {
        let text = serde_json::json!({"level": "ERROR", "error": why, "class": "Misconfigured",
            "message": "status report cannot be written: commands show an old one"});
        line(at_ms, &text.to_string()).unwrap()
    }

    #[test]
    fn the_last_word_about_the_report_counts_since_the_first_of_its_kind() {
        let written = line(30, r#"{"level":"INFO","message":"status report written again"}"#).unwrap();
        let lines = vec![unwritten(10, "a"), unwritten(20, "b"), written];
        assert_eq!(
            Log::Read(lines[..2].to_vec()).unwritten(),
            Some(Unwritten { since_ms: 10, why: "b".into() })
        );
        assert_eq!(Log::Read(lines.clone()).unwritten(), None);
        let again = [lines, vec![unwritten(40, "c")]].concat();
        assert_eq!(Log::Read(again).unwritten(), Some(Unwritten { since_ms: 40, why: "c".into() }));
    }

    #[test]
    fn only_lines_that_tell_of_trouble_are_kept_and_foreign_ones_are_passed_over() {
        let failed =
            r#"{"level":"WARN","message":"action failed","job":"j","error":"s3:PutObject: AccessDenied"}"#;
        let failed = line(1, failed).unwrap();
        assert_eq!(
            (failed.job.as_deref(), failed.says().as_str()),
            (Some("j"), "action failed: s3:PutObject: AccessDenied")
        );
        for strange in
            ["", "no object", "[]", r#"{"level":"INFO","message":"job received"}"#, r#"{"level":7}"#]
        {
            assert_eq!(line(1, strange), None, "{strange}");
        }
    }
}
