//! Which job is live under a job's prefix, and whether it is newer (S17).

use transcode_config::contract::{
    JobSpec, Published, Source, SourceObject, SourceOrder, SourceRead, UserMetadata, pointer_key,
};
use transcode_core::protocol::order::{Standing, standing};

use super::versions::versions;
use crate::{
    cli::{
        output::{address, shown, time},
        setup::{Session, unreadable},
    },
    runtime::wall_ms,
};

/// If the live job is newer, so that this job would end as superseded: a text for people, with both orders.
pub(crate) async fn newer(session: &Session, spec: &JobSpec) -> anyhow::Result<Option<String>> {
    let live: Option<Published> = session.store.read(&pointer_key(&spec.output)).await.map_err(unreadable)?;
    let Some(live) = live else { return Ok(None) };
    let Source { bucket, key, .. } = &spec.source;
    let object = SourceObject { bucket: bucket.clone(), key: key.clone() };
    let read = if spec.source.sequencer.is_none() { read_of(session, &spec.source).await } else { None };
    let order = SourceOrder::of(spec, read.as_ref(), wall_ms());
    if standing(&spec.job, &object, &order, Some(&live)) != Standing::Older {
        return Ok(None);
    }
    Ok(Some(format!(
        "job {}, published {}, is live at {}, made of {}; this is older: {}",
        live.job,
        time(live.published_at_ms),
        address(&live.output.bucket, &live.output.prefix),
        ordered(&live.source.bucket, &live.source.key, &live.order),
        ordered(bucket, key, &order),
    )))
}

fn ordered(bucket: &str, key: &str, order: &SourceOrder) -> String {
    let version = order.version_id.as_ref().map(|it| format!(" version {}", shown(it))).unwrap_or_default();
    let sequencer =
        order.sequencer.as_ref().map(|it| format!(", sequencer {}", shown(it))).unwrap_or_default();
    format!("{}{version}, uploaded {}{sequencer}", address(bucket, key), time(order.uploaded_at_ms))
}

/// The object as the task will read it. Where that cannot be told, the job counts from its acceptance, as in the
/// pipeline.
async fn read_of(session: &Session, source: &Source) -> Option<SourceRead> {
    let versions = versions(session, &source.bucket, &source.key).await;
    let found = versions.iter().find(|version| match &source.version_id {
        Some(id) => version.version_id() == Some(id),
        None => version.is_latest() == Some(true),
    })?;
    let modified = found.last_modified().and_then(|at| at.to_millis().ok());
    Some(SourceRead {
        // Of a bucket that keeps no versions.
        version_id: found.version_id().filter(|id| *id != "null").map(str::to_owned),
        etag: found.e_tag().map(|tag| tag.trim_matches('"').to_owned()),
        modified_at_ms: modified.and_then(|ms| u64::try_from(ms).ok()),
        user_metadata: UserMetadata::default(),
    })
}
