//! Batch calls to SQS: each entry has its own answer, whatever happened to the others (row 14 of the fault catalogue).

use std::collections::BTreeMap;

use aws_sdk_sqs::{
    error::SdkError,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use transcode_core::{
    effects::batch::Timeout,
    protocol::{
        action::LeaseRef,
        fact::{CallError, ErrorClass},
    },
};

use super::{
    class::{call_error, entry_error},
    sqs::{Sqs, seconds},
};

const DELETE: &str = "sqs:DeleteMessageBatch";
const CHANGE_VISIBILITY: &str = "sqs:ChangeMessageVisibilityBatch";

/// The answer to one entry: see [`transcode_core::effects::ports::Queue`].
type Entry = Result<bool, CallError>;

impl Sqs {
    pub(super) async fn delete_all(&self, leases: &[LeaseRef]) -> Vec<Entry> {
        let entry = |(index, lease): (usize, &LeaseRef)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.receipt_handle(&lease.receipt).build().ok()
        };
        let url = match self.url_of(DELETE, leases.first()) {
            Ok(url) => url,
            Err(error) => return vec![Err(error); leases.len()],
        };
        let request = self.clients.write.delete_message_batch().queue_url(url);
        let entries = leases.iter().enumerate().filter_map(entry).collect();
        let answer = request.set_entries(Some(entries)).send().await;
        let done = answer.map(|it| (it.successful.into_iter().map(|entry| entry.id).collect(), it.failed));
        dealt(DELETE, leases.len(), done)
    }

    pub(super) async fn set_all(&self, timeouts: &[Timeout]) -> Vec<Entry> {
        let entry = |(index, timeout): (usize, &Timeout)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
            let entry = entry.receipt_handle(&timeout.lease.receipt).visibility_timeout(seconds(timeout.ms));
            entry.build().ok()
        };
        let url = match self.url_of(CHANGE_VISIBILITY, timeouts.first().map(|first| &first.lease)) {
            Ok(url) => url,
            Err(error) => return vec![Err(error); timeouts.len()],
        };
        let request = self.clients.write.change_message_visibility_batch().queue_url(url);
        let entries = timeouts.iter().enumerate().filter_map(entry).collect();
        let answer = request.set_entries(Some(entries)).send().await;
        let done = answer.map(|it| (it.successful.into_iter().map(|entry| entry.id).collect(), it.failed));
        dealt(CHANGE_VISIBILITY, timeouts.len(), done)
    }
}

/// Splits an answer into those of its `count` entries. An entry that is missing from the answer may have been carried
/// out.
fn dealt<E>(
    operation: &'static str,
    count: usize,
    answer: Result<(Vec<String>, Vec<BatchResultErrorEntry>), SdkError<E, HttpResponse>>,
) -> Vec<Entry>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let (successful, failed) = match answer {
        Ok(parts) => parts,
        Err(error) => return vec![Err(call_error(operation, &error)); count],
    };
    let mut entries: BTreeMap<String, Entry> = successful.into_iter().map(|id| (id, Ok(true))).collect();
    entries.extend(failed.into_iter().map(|entry| (entry.id.clone(), refused(operation, &entry))));
    let left_out = || CallError {
        operation,
        class: ErrorClass::Uncertain,
        message: "the answer does not name this entry".to_owned(),
    };
    (0..count).map(|index| entries.remove(&index.to_string()).unwrap_or_else(|| Err(left_out()))).collect()
}

fn refused(operation: &'static str, entry: &BatchResultErrorEntry) -> Entry {
    let message = entry.message().unwrap_or_default();
    if lease_lost(entry.code(), message) {
        return Ok(false);
    }
    Err(entry_error(operation, entry.code(), message, entry.sender_fault()))
}

/// Whether an error means that the lease is lost. The same code also stands for a timeout beyond the 12 h, where the
/// lease is still ours; so the text is checked too.
fn lease_lost(code: &str, text: &str) -> bool {
    match code {
        "ReceiptHandleIsInvalid"
        | "MessageNotInflight"
        | "AWS.SimpleQueueService.MessageNotInflight"
        | "InvalidIdFormat" => true,
        "InvalidParameterValue" => text.contains("eceipt handle") || text.contains("ReceiptHandle"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError;

    use super::*;

    #[test]
    fn a_lease_is_lost_only_when_the_handle_is_worthless() {
        let beyond = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for \
                      the message is beyond the limit [43200 seconds].";
        let expired =
            "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        for (code, text, lost) in [
            ("ReceiptHandleIsInvalid", "", true),
            ("AWS.SimpleQueueService.MessageNotInflight", "", true),
            ("InvalidParameterValue", expired, true),
            ("InvalidParameterValue", beyond, false),
            ("RequestThrottled", "", false),
            ("AWS.SimpleQueueService.NonExistentQueue", "", false),
        ] {
            assert_eq!(lease_lost(code, text), lost, "{code} {text}");
        }
    }

    #[test]
    fn each_entry_is_classed_by_itself_and_one_that_is_left_out_is_in_doubt() {
        let failed = |id: &str, code: &str, ours: bool| {
            let entry = BatchResultErrorEntry::builder().id(id).code(code).message("why").sender_fault(ours);
            entry.build().unwrap()
        };
        let answer = (
            vec!["4".to_owned(), "0".to_owned()],
            vec![
                failed("3", "RequestThrottled", true),
                failed("1", "ReceiptHandleIsInvalid", true),
                failed("5", "NewCode", false),
                failed("6", "NewCode", true),
            ],
        );
        let entries = dealt::<DeleteMessageBatchError>(DELETE, 7, Ok(answer));
        let classes: Vec<_> =
            entries.iter().map(|entry| entry.as_ref().map_err(|error| error.class)).collect();
        let expected = [
            Ok(&true),
            Ok(&false),
            Err(ErrorClass::Uncertain),
            Err(ErrorClass::Throttled),
            Ok(&true),
            Err(ErrorClass::Uncertain),
            Err(ErrorClass::Unknown),
        ];
        assert_eq!(classes, expected);
        assert_eq!(entries[3].as_ref().unwrap_err().message, "RequestThrottled: why");
    }
}
