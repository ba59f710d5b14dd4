//! A job as a message names it: its identity first, then whether it may run.

use std::sync::Arc;

use transcode_config::{
    contract::{
        Edit, Failure, FailureCode, JobKey, JobSpec, OutputTarget, Overlay, SCHEMA, SPEC_WITH_EDIT, Source,
        UserMetadata, edited_prefix, output_prefix,
    },
    ladder::Profile,
    settings::SourceSettings,
};

use super::types::{Request, Rules};

/// Longest object key: S3's own limit, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Longest bucket name, in bytes.
const MAX_BUCKET_BYTES: usize = 63;

/// A job without its generation.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// All parts of the job's name except the generation and `forced`.
    identity: Vec<String>,
    /// A person wants it live, whatever is live now. Part of the job's name: otherwise an earlier job without force
    /// would answer the request.
    forced: bool,
    verdict: Result<Accepted, Failure>,
}

#[derive(Debug, Clone)]
struct Accepted {
    source: Source,
    profile: Arc<Profile>,
    /// Root of the job's stable prefix.
    root: String,
    edit: Edit,
    idempotency_key: Option<String>,
    user_metadata: UserMetadata,
}

/// The fields of a request.
pub(super) struct Asked {
    /// What to transcode.
    pub(super) source: Source,
    /// The requested profile; `None`: the default.
    pub(super) profile: Option<String>,
    /// Language of tracks whose language the file does not name; `None`: the source's, else the profile's.
    pub(super) language: Option<String>,
    /// Clip and overlay.
    pub(super) edit: Edit,
    /// The caller's own name for the job.
    pub(super) idempotency_key: Option<String>,
    /// The job replaces the live one even if it is older.
    pub(super) forced: bool,
    /// The caller's own words. Not part of the job's name: the same request with other words is the same job.
    pub(super) user_metadata: UserMetadata,
}

impl Candidate {
    /// A refused job with this identity.
    pub(super) fn refused(identity: &[&str], failure: Failure) -> Self {
        let identity = identity.iter().map(|&part| part.to_owned()).collect();
        Self { identity, forced: false, verdict: Err(failure) }
    }

    /// Sets or clears `forced`.
    pub(super) fn force(self, forced: bool) -> Self {
        Self { forced, ..self }
    }

    /// The job's key under `generation`.
    pub(super) fn key(&self, generation: u32) -> JobKey {
        let generation = generation.to_string();
        let forced = self.forced.then_some("forced");
        let parts = self.identity.iter().map(String::as_str).chain(forced).chain([generation.as_str()]);
        JobKey::of(&parts.collect::<Vec<_>>())
    }

    /// Names the job and checks the request against the rules.
    pub(super) fn of(asked: Asked, rules: &Rules) -> Self {
        let Asked { source, profile, language, edit, idempotency_key, forced, user_metadata } = asked;
        let allowed = rules.source_of(&source.bucket, &source.key);
        let profile = profile
            .or_else(|| allowed.and_then(|source| source.profile.clone()))
            .unwrap_or_else(|| rules.default_profile.clone());
        let root =
            allowed.and_then(|source| source.output_prefix.as_ref()).unwrap_or(&rules.output_root).clone();
        let refusal = refusal(&source, allowed, rules).or_else(|| edit_refusal(&edit, allowed));
        let verdict = refusal.map_or_else(|| known_profile(&profile, rules), Err);
        let verdict = verdict.map(|mut profile| {
            let own = language.clone().or_else(|| allowed?.default_language.clone());
            if own.is_some() && own != profile.audio.default_language {
                Arc::make_mut(&mut profile).audio.default_language = own;
            }
            profile
        });
        let identity = || identity(&source, &profile, language.as_deref(), &edit);
        let identity = match &idempotency_key {
            Some(key) if verdict.is_ok() => vec!["caller".to_owned(), key.clone()],
            // A refused request does not use up its idempotency key.
            Some(key) => {
                let own = ["caller-refused".to_owned(), key.clone()];
                own.into_iter().chain(identity()).collect()
            }
            None => identity(),
        };
        let verdict =
            verdict.map(|profile| Accepted { source, profile, root, edit, idempotency_key, user_metadata });
        Self { identity, forced, verdict }
    }

    /// The request for `generation`.
    pub(super) fn into_request(self, generation: u32, rules: &Rules, wall_ms: u64) -> Request {
        let job = self.key(generation);
        let Accepted { source, profile, root, edit, idempotency_key, user_metadata } = match self.verdict {
            Ok(accepted) => accepted,
            Err(failure) => return Request::Refuse { job, generation, failure },
        };
        let prefix = edited_prefix(&output_prefix(&root, &source.key), &edit);
        Request::Run(Arc::new(JobSpec {
            schema: if edit.is_none() { SCHEMA } else { SPEC_WITH_EDIT },
            job,
            generation,
            source,
            profile,
            edit,
            output: OutputTarget { bucket: rules.output_bucket.clone(), prefix },
            max_run_seconds: rules.max_run_seconds,
            max_source_bytes: rules.max_source_bytes,
            accepted_at_ms: wall_ms,
            idempotency_key,
            user_metadata,
            forced: self.forced,
        }))
    }
}

fn known_profile(name: &str, rules: &Rules) -> Result<Arc<Profile>, Failure> {
    rules.profiles.get(name).cloned().ok_or_else(|| {
        let known = rules.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        let why = "the profile that is asked for is not configured";
        Failure::new(FailureCode::UnknownProfile, why).with("profile", name).with("configured", known)
    })
}

/// The identity of an upload: the version id if there is one; otherwise the content and S3's sequencer. So the same
/// file uploaded twice is two jobs, and the same event delivered twice is one.
fn identity(source: &Source, profile: &str, language: Option<&str>, edit: &Edit) -> Vec<String> {
    let mut parts = vec!["object".to_owned(), source.bucket.clone(), source.key.clone()];
    match &source.version_id {
        Some(version) => parts.extend(["version".to_owned(), version.clone()]),
        None => parts.extend([
            "etag".to_owned(),
            source.etag.clone().unwrap_or_default(),
            source.sequencer.clone().unwrap_or_default(),
        ]),
    }
    parts.push(profile.to_owned());
    parts.extend(language.into_iter().flat_map(|tag| ["language".to_owned(), tag.to_owned()]));
    if !edit.is_none() {
        // A plain structure: serialising it cannot fail.
        parts.extend(["edit".to_owned(), serde_json::to_string(edit).unwrap_or_default()]);
    }
    parts
}

fn refusal(source: &Source, allowed: Option<&SourceSettings>, rules: &Rules) -> Option<Failure> {
    let Source { bucket, key, size, .. } = source;
    if bucket.is_empty() || bucket.len() > MAX_BUCKET_BYTES || key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Some(Failure::new(
            FailureCode::MalformedMessage,
            "bucket or key is empty or longer than S3 allows",
        ));
    }
    let failure = if allowed.is_none() {
        Failure::new(FailureCode::SourceNotAllowed, "no entry of `sources` covers this bucket and key")
    } else if *size == Some(0) {
        Failure::new(FailureCode::Empty, "the event says that the object has no bytes")
    } else if size.is_some_and(|size| size > rules.max_source_bytes) {
        Failure::new(FailureCode::SourceTooLarge, "the event gives a size above jobs.max_source_bytes")
            .with("size", size.unwrap_or_default())
            .with("max_source_bytes", rules.max_source_bytes)
    } else {
        return None;
    };
    Some(failure.with("bucket", bucket).with("key", key))
}

/// Checks the edit: its numbers must make sense, and the overlay must come from an allowed source.
fn edit_refusal(edit: &Edit, allowed: Option<&SourceSettings>) -> Option<Failure> {
    if let Err(problem) = edit.check() {
        return Some(Failure::new(FailureCode::MalformedMessage, problem));
    }
    let Overlay { bucket, key, .. } = edit.overlay.as_ref()?;
    let mut places = allowed.into_iter().flat_map(|source| &source.overlays);
    if places.any(|place| place.bucket == *bucket && key.starts_with(&place.prefix)) {
        return None;
    }
    let why = "no entry of `overlays` of this source covers the overlay's bucket and key";
    let failure = Failure::new(FailureCode::OverlayNotAllowed, why);
    Some(failure.with("overlay_bucket", bucket).with("overlay_key", key))
}

/// The refused job for a body that cannot be read.
pub(super) fn malformed(body: &str, why: &str) -> Candidate {
    named_by_body(body, Failure::new(FailureCode::MalformedMessage, why))
}

/// A refused job whose name is a hash of the whole body: the same broken body sent twice is one job.
pub(super) fn named_by_body(body: &str, failure: Failure) -> Candidate {
    let name = JobKey::of(&[body]);
    Candidate::refused(&["malformed", name.as_str()], failure)
}
