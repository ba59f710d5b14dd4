//! Carries out the steps of [`transcode_core::protocol::publishing`]. The names to publish follow from the job's
//! specification and the attempt's number. The terminal record comes from a process that decoded an untrusted file; it
//! is refused if it names anything else.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::{
    operation::{get_object::GetObjectError, head_object::HeadObjectError},
    primitives::ByteStream,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use transcode_config::contract::{
    Document, EntryPoint, JobKey, JobSpec, Layout, OutputTarget, Published, SCHEMA, SourceObject,
    SourceOrder, Succeeded, decode, encode, pointer_key,
};

use transcode_core::{
    effects::ports::InspectError,
    protocol::{
        fact::{CallError, ErrorClass},
        publishing::{Answer, If, Publication, Publishing, Step, Tag},
    },
};

use super::{
    class::{call_error, status, unless_absent},
    state::{S3Store, failed},
};

const HEAD: &str = "s3:HeadObject";
const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const COPY: &str = "s3:CopyObject";

/// Characters that must be escaped in `x-amz-copy-source`.
const COPY_SOURCE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl S3Store {
    /// Publishes a winner, unless a newer job is live.
    pub(super) async fn bring_live(
        &self,
        job: &JobKey,
        spec: &JobSpec,
        winner: &Succeeded,
    ) -> Result<Publication, InspectError> {
        if let Some(wrong) = stranger(job, spec, winner) {
            return Err(InspectError::Unreadable(format!("{}: {wrong}", Layout::of(job).terminal())));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let next = pointer(spec, winner, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let mut publishing = Publishing::new(next, winner.entry_points.len());
        loop {
            let step = publishing.step();
            if let Step::Done(publication) = step {
                return Ok(publication);
            }
            let answer = self.publish_step(&spec.output, winner, &step).await?;
            publishing.answer(answer);
        }
    }

    /// Carries one step of a publication out, up to its end.
    pub async fn publish_step(
        &self,
        output: &OutputTarget,
        winner: &Succeeded,
        step: &Step,
    ) -> Result<Answer, InspectError> {
        Ok(match step {
            Step::Look(entry) => Answer::Seen(self.look(&output.bucket, entry_of(winner, *entry)?).await?),
            Step::ReadPointer => Answer::Pointer(self.read_pointer(&pointer_key(output)).await?),
            Step::MovePointer(next, condition) => Answer::Written(self.move_pointer(next, condition).await?),
            Step::Write(entry, condition) => {
                let entry = entry_of(winner, *entry)?;
                Answer::Written(self.copy(&output.bucket, entry, condition).await?)
            }
            Step::Done(_) | Step::Busy => {
                let message = "somebody else always writes the same entry points".into();
                return Err(InspectError::Call(failed(COPY, ErrorClass::Transient, message)));
            }
        })
    }

    /// The job that is live under an output prefix, and the tag of the pointer.
    async fn read_pointer(&self, key: &str) -> Result<Option<(Box<Published>, Tag)>, InspectError> {
        let answer = self.clients.read.get_object().bucket(&self.bucket).key(key).send().await;
        let object =
            unless_absent(GET, answer, GetObjectError::is_no_such_key).map_err(InspectError::Call)?;
        let Some(object) = object else { return Ok(None) };
        let tag = object.e_tag().unwrap_or_default().to_owned();
        let bytes = self.body(object.body, Published::LIMIT).await?;
        let live = decode(&bytes).map_err(|error| InspectError::Unreadable(format!("{key}: {error}")))?;
        Ok(Some((Box::new(live), tag)))
    }

    async fn move_pointer(&self, next: &Published, condition: &If) -> Result<bool, CallError> {
        let put = self.clients.write.put_object().bucket(&self.bucket).key(pointer_key(&next.output));
        let put = match condition {
            If::Absent => put.if_none_match("*"),
            If::Still(tag) => put.if_match(tag),
            If::Whatever => put,
        };
        let put = put.content_type("application/json").body(ByteStream::from(encode(next)));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(false),
            Err(error) => Err(call_error(PUT, &error)),
        }
    }

    async fn look(&self, bucket: &str, entry: &EntryPoint) -> Result<Option<Tag>, CallError> {
        let answer = self.clients.read.head_object().bucket(bucket).key(&entry.to).send().await;
        let found = unless_absent(HEAD, answer, HeadObjectError::is_not_found)?;
        Ok(found.map(|found| found.e_tag.unwrap_or_default()))
    }

    async fn copy(&self, bucket: &str, entry: &EntryPoint, condition: &If) -> Result<bool, CallError> {
        let source = format!("{bucket}/{}", utf8_percent_encode(&entry.from.key, COPY_SOURCE));
        let copy = self.clients.write.copy_object().bucket(bucket).key(&entry.to).copy_source(source);
        let copy = match condition {
            If::Absent => copy.if_none_match("*"),
            If::Still(tag) => copy.if_match(tag),
            If::Whatever => copy,
        };
        match copy.send().await {
            Ok(_) => Ok(true),
            // 404: the object under the stable name is gone. If the condition was "absent", only the source can be
            // missing.
            Err(error) if status(&error) == Some(404) && *condition != If::Absent => Ok(false),
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(false),
            Err(error) => Err(call_error(COPY, &error)),
        }
    }
}

fn entry_of(winner: &Succeeded, entry: usize) -> Result<&EntryPoint, CallError> {
    let missing = || failed(COPY, ErrorClass::Permanent, format!("there is no entry point {entry}"));
    winner.entry_points.get(entry).ok_or_else(missing)
}

fn pointer(spec: &JobSpec, winner: &Succeeded, now_ms: u64) -> Published {
    let order = SourceOrder::of(spec, winner.source.as_ref(), now_ms);
    Published {
        schema: SCHEMA,
        output: spec.output.clone(),
        source: SourceObject { bucket: spec.source.bucket.clone(), key: spec.source.key.clone() },
        job: spec.job.clone(),
        attempt: winner.attempt,
        folder: winner.folder.clone(),
        highest_sequencer: order.sequencer.clone(),
        order,
        serial: 1,
        published_at_ms: now_ms,
    }
}

/// The first field of a terminal record that does not follow from the specification and the attempt, if any.
fn stranger(job: &JobKey, spec: &JobSpec, winner: &Succeeded) -> Option<String> {
    let output = &spec.output;
    if spec.job != *job {
        return Some(format!("its specification is of job {}", spec.job));
    }
    if winner.bucket != output.bucket {
        return Some(format!("it names bucket {}, and the job's is {}", winner.bucket, output.bucket));
    }
    let folder = format!("{}{}", output.prefix, Layout::of(job).folder(winner.attempt));
    if winner.folder != folder {
        return Some(format!("it names the folder {}, and the attempt's is {folder}", winner.folder));
    }
    winner.entry_points.iter().find_map(|entry| {
        let name = entry.to.strip_prefix(output.prefix.as_str());
        if !name.is_some_and(|name| !name.is_empty() && !name.contains('/')) {
            return Some(format!("it publishes {}, which is no name under {}", entry.to, output.prefix));
        }
        let own = entry.from.key.starts_with(&folder);
        (!own)
            .then(|| format!("it publishes {}, which is not in the winner's folder {folder}", entry.from.key))
    })
}
