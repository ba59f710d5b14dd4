//! The listing of all beacons ([`transcode_config::contract::Beacon`]): a call for each 1,000 tasks at work.

use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_s3::types::Object;
use transcode_config::contract::{Beacon, beacon_of, beacon_prefix};
use transcode_core::protocol::fact::{CallError, ErrorClass, Sighting};

use super::{
    class::call_error,
    state::{S3Store, failed},
};

/// Most pages of one listing: 100,000 beacons. It also ends a listing whose pages form a circle.
const MAX_PAGES: usize = 100;

const LIST: &str = "s3:ListObjectsV2";

impl S3Store {
    /// All beacons of an environment.
    pub(super) async fn beacons(&self) -> Result<Vec<Sighting>, CallError> {
        let prefix = beacon_prefix(&self.environment);
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let list = self.clients.read.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
            let page = list.set_continuation_token(next).send().await;
            let page = page.map_err(|error| call_error(LIST, &error))?;
            found.extend(page.contents().iter().filter_map(|object| sighting(&prefix, object)));
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(failed(
            LIST,
            ErrorClass::Permanent,
            format!("more than {MAX_PAGES} pages of beacons below {prefix}"),
        ))
    }
}

/// The beacon of an object; none if it is none.
fn sighting(prefix: &str, object: &Object) -> Option<Sighting> {
    let (job, attempt) = beacon_of(object.key()?.strip_prefix(prefix)?)?;
    let beacon = Beacon::of_length(usize::try_from(object.size()?).ok()?)?;
    // Entity tags alone repeat: the same bytes have the same. S3 gives the time in whole seconds, and a task writes its
    // beacon at most once in some seconds.
    let mut mark = DefaultHasher::new();
    (object.e_tag(), object.last_modified().map(|at| (at.secs(), at.subsec_nanos()))).hash(&mut mark);
    Some(Sighting { job, attempt, mark: mark.finish(), beacon })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::DateTime;
    use transcode_config::contract::{Attempt, JobKey, Stage, beacon_key};

    use super::*;

    fn object(key: &str, length: i64, tag: &str, at: i64) -> Object {
        Object::builder().key(key).size(length).e_tag(tag).last_modified(DateTime::from_secs(at)).build()
    }

    #[test]
    fn an_object_tells_job_attempt_progress_and_whether_it_was_written_again() {
        let (job, attempt) = (JobKey::of(&["x"]), Attempt::new(2).unwrap());
        let beacon = Beacon { stage: Stage::Transcoding, percent: 42, playable: true };
        let length = i64::try_from(beacon.length()).unwrap();
        let key = beacon_key("prod", &job, attempt);
        let seen = |tag, at| sighting("live/prod/", &object(&key, length, tag, at)).unwrap();
        let first = seen("a", 1);
        assert_eq!((first.job.clone(), first.attempt, first.beacon), (job, attempt, beacon));
        assert_eq!(seen("a", 1), first);
        assert_ne!(seen("a", 2).mark, first.mark, "the same bytes, written again");
        assert_ne!(seen("b", 1).mark, first.mark);
    }

    #[test]
    fn what_is_no_beacon_is_passed_over() {
        let key = beacon_key("prod", &JobKey::of(&["x"]), Attempt::FIRST);
        for (key, length) in
            [(key.as_str(), 0), (&key, 1 << 20), (&key, -1), ("live/prod/x", 5), ("other", 5)]
        {
            assert_eq!(sighting("live/prod/", &object(key, length, "a", 1)), None, "{key} {length}");
        }
    }
}
