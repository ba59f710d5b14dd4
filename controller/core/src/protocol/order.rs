//! Order among the jobs of one output prefix (S17): may a job become live while another one is live?

use std::cmp::Ordering;

use transcode_config::contract::{JobKey, JobSpec, Published, Source, SourceObject, SourceOrder};

use crate::weakness::{Weakness, weak};

/// Position of a job relative to the job that is live under its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is newer, or nothing is live.
    Newer,
    /// It is the live job.
    Live,
    /// Something newer is live.
    Older,
}

/// Compares a job with the live one. In this order: the sequencer with the highest that was ever live, the sequencer
/// with that of the live job, the time of upload, the time of acceptance, the job's key. Sequencers are compared only
/// between uploads of one object; where one of the two jobs has none, times decide.
pub fn standing(
    job: &JobKey,
    source: &SourceObject,
    order: &SourceOrder,
    live: Option<&Published>,
) -> Standing {
    let Some(live) = live else { return Standing::Newer };
    if live.job == *job {
        return Standing::Live;
    }
    if weak(Weakness::ComparesNothingBeforePublishing) || newer(job, source, order, live) {
        Standing::Newer
    } else {
        Standing::Older
    }
}

fn newer(job: &JobKey, source: &SourceObject, order: &SourceOrder, live: &Published) -> bool {
    let same_object = live.source == *source;
    let own = order.sequencer.as_deref().filter(|_| same_object);
    if let (Some(own), Some(highest)) = (own, &live.highest_sequencer)
        && by_sequencer(own, highest).is_lt()
    {
        return false;
    }
    let accepted = (order.accepted_at_ms, job).cmp(&(live.order.accepted_at_ms, &live.job));
    let order = match (own, &live.order.sequencer) {
        (Some(own), Some(there)) => by_sequencer(own, there).then(accepted),
        _ if same_object && same_version(order, &live.order) => accepted,
        _ => order.uploaded_at_ms.cmp(&live.order.uploaded_at_ms).then(accepted),
    };
    order.is_gt()
}

/// Whether the live job is a later upload of this job's object: then this job can only end as superseded. Before the
/// job's task has read the source, only sequencers can show that.
pub fn is_behind(spec: &JobSpec, live: &Published) -> bool {
    let Source { bucket, key, sequencer, .. } = &spec.source;
    let same = spec.output == live.output && live.source.bucket == *bucket && live.source.key == *key;
    let sequencers =
        sequencer.as_deref().filter(|_| same && !spec.forced).zip(live.highest_sequencer.as_deref());
    sequencers.is_some_and(|(own, highest)| {
        by_sequencer(own, highest).is_lt() || weak(Weakness::StopsWhatIsNotOlder)
    })
}

/// Sequencers are hexadecimal numbers of differing lengths; the shorter one is padded with zeros on the right, as S3's
/// guide ("Event message structure") requires.
pub fn by_sequencer(one: &str, other: &str) -> Ordering {
    let length = one.len().max(other.len());
    let digits = |text: &str| {
        let text = text.to_ascii_uppercase();
        if weak(Weakness::PadsSequencersOnTheLeft) {
            format!("{text:0>length$}")
        } else {
            format!("{text:0<length$}")
        }
    };
    digits(one).cmp(&digits(other))
}

/// Whether both jobs have the same version of the object: the same version id or, where the bucket keeps no versions,
/// the same content.
fn same_version(one: &SourceOrder, other: &SourceOrder) -> bool {
    match (&one.version_id, &other.version_id) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.etag.is_some() && one.etag == other.etag,
        _ => false,
    }
}

/// The pointer that makes job `next` live instead of `live`.
pub fn successor(next: Published, live: Option<&Published>) -> Published {
    let Some(live) = live else {
        return Published { serial: 1, highest_sequencer: next.order.sequencer.clone(), ..next };
    };
    let highest = live.highest_sequencer.clone().filter(|_| live.source == next.source);
    let highest_sequencer = [highest, next.order.sequencer.clone()]
        .into_iter()
        .flatten()
        .max_by(|one, other| by_sequencer(one, other));
    Published { serial: live.serial.saturating_add(1), highest_sequencer, ..next }
}
