//! `EventBridge`: the events of jobs, up to ten in a call, each with its own answer.

use std::sync::Arc;

use aws_sdk_eventbridge::{
    Client,
    operation::put_events::PutEventsError,
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use transcode_config::contract::{EVENT_SOURCE, JobEvent, encode};
use transcode_core::{
    effects::{batch::BATCH, ports},
    protocol::fact::{CallError, ErrorClass},
};

use super::class::{call_error, entry_error};

const PUT: &str = "events:PutEvents";

/// Most bytes of one call, of the 256 KiB that `EventBridge` takes: it counts source, detail type and time too.
const MOST_BYTES: usize = 240 << 10;

/// Most bytes of an entry beside its detail.
const BESIDE: usize = 512;

/// [`ports::Bus`] on `EventBridge`.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
}

impl Bus {
    /// With a client that does not repeat calls: the planner does.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl ports::Bus for Bus {
    async fn put(&self, bus: &str, events: &[Arc<JobEvent>]) -> Vec<Result<(), CallError>> {
        let mut answers = Vec::with_capacity(events.len());
        for entries in calls(bus, events) {
            let count = entries.len();
            let answer = self.client.put_events().set_entries(Some(entries)).send().await;
            answers.extend(dealt(count, answer.map(|answer| answer.entries.unwrap_or_default())));
        }
        answers
    }
}

/// The entries of each call: one call, unless the events are unusually long.
fn calls(bus: &str, events: &[Arc<JobEvent>]) -> Vec<Vec<PutEventsRequestEntry>> {
    let (mut calls, mut room): (Vec<Vec<_>>, usize) = (Vec::new(), 0);
    for event in events {
        let detail = String::from_utf8(encode(&**event)).unwrap_or_default();
        let bytes = detail.len() + BESIDE;
        let at_ms = i64::try_from(event.at_ms).unwrap_or_default();
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(EVENT_SOURCE)
            .detail_type(event.kind.detail_type())
            .time(DateTime::from_millis(at_ms))
            .detail(detail)
            .build();
        match calls.last_mut() {
            Some(call) if call.len() < BATCH && bytes <= room => {
                call.push(entry);
                room -= bytes;
            }
            _ => {
                calls.push(vec![entry]);
                room = MOST_BYTES.saturating_sub(bytes);
            }
        }
    }
    calls
}

/// Splits an answer into those of its `count` entries: a 200 may hold refusals (`FailedEntryCount`). An entry that is
/// missing from the answer may have been taken.
fn dealt(
    count: usize,
    answer: Result<Vec<PutEventsResultEntry>, SdkError<PutEventsError, HttpResponse>>,
) -> Vec<Result<(), CallError>> {
    let entries = match answer {
        Ok(entries) => entries,
        Err(error) => return vec![Err(call_error(PUT, &error)); count],
    };
    let answer = |entry: Option<&PutEventsResultEntry>| match entry.map(|it| (it.error_code(), it.event_id()))
    {
        Some((Some(code), _)) => {
            let message = entry.and_then(PutEventsResultEntry::error_message).unwrap_or_default();
            Err(entry_error(PUT, code, message, true))
        }
        Some((None, Some(_))) => Ok(()),
        _ => Err(CallError {
            operation: PUT,
            class: ErrorClass::Uncertain,
            message: "the answer does not name this entry".to_owned(),
        }),
    };
    (0..count).map(|index| answer(entries.get(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_its_own_answer() {
        let refused = |code: &str| PutEventsResultEntry::builder().error_code(code).build();
        let taken = PutEventsResultEntry::builder().event_id("1").build();
        let answer = vec![
            taken.clone(),
            refused("ThrottlingException"),
            refused("AccessDeniedException"),
            refused("NotAuthorizedForSourceException"),
            refused("InternalFailure"),
            refused("MalformedDetail"),
            PutEventsResultEntry::builder().build(),
            taken,
        ];
        let classes: Vec<_> =
            dealt(9, Ok(answer)).into_iter().map(|entry| entry.map_err(|error| error.class)).collect();
        let expected = [
            Ok(()),
            Err(ErrorClass::Throttled),
            Err(ErrorClass::Misconfigured),
            Err(ErrorClass::Misconfigured),
            Err(ErrorClass::Uncertain),
            Err(ErrorClass::Permanent),
            Err(ErrorClass::Uncertain),
            Ok(()),
            Err(ErrorClass::Uncertain),
        ];
        assert_eq!(classes, expected);
    }
}
