//! The task's image in ECR: read here, checked in [`crate::aws::image`].
//!
//! Three calls and a download, each time the last successful check is older than `image.recheck_seconds`: the manifest
//! (of an index, also the platform's), the findings of the scan, and the configuration, which holds architecture and
//! labels and is stored like a layer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_ecr::{
    Client,
    config::{Builder, Region},
    operation::{
        batch_get_image::BatchGetImageError, describe_image_scan_findings::DescribeImageScanFindingsError,
        get_download_url_for_layer::GetDownloadUrlForLayerError,
    },
    types::{ImageFailureCode, ImageIdentifier, ScanStatus},
};
use sha2::{Digest, Sha256};
use transcode_config::{
    Settings,
    settings::{CallSettings, ImageSettings, OtherRegistries, Severity},
};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use super::{
    class::unless_absent,
    image::{Manifest, Reference, Registry, Scan, Unfit, configuration, manifest, scan},
    plain::{self, Response},
};

const GET_IMAGE: &str = "ecr:BatchGetImage";
const GET_FINDINGS: &str = "ecr:DescribeImageScanFindings";
const GET_LAYER: &str = "ecr:GetDownloadUrlForLayer";

/// Longest image configuration that is read, in bytes. Ordinary ones have a few kilobytes.
const MAX_CONFIGURATION: usize = 1 << 20;

/// Most revisions whose tags are remembered. Each deployment makes one; this lasts for years.
const MAX_REVISIONS: usize = 1000;

/// The image in a revision of a task definition.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// ARN of the revision.
    pub task_definition: &'a str,
    /// The image reference in that revision.
    pub image: &'a str,
    /// `amd64` or `arm64`.
    pub architecture: &'static str,
}

/// The digest of an image that may be launched (`None`: not checked), or why it may not.
pub type ImageCheck = Result<Option<String>, Unfit>;

/// Checks images.
#[derive(Debug)]
pub struct Images {
    client: Client,
    settings: ImageSettings,
    calls: CallSettings,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The last successful check: its time, the revision, the digest.
    good: Option<(Instant, String, Option<String>)>,
    /// The digest of each tag when its revision was first seen.
    tags: BTreeMap<String, String>,
}

impl Images {
    /// The checker for these settings.
    pub fn new(client: Client, settings: &Settings) -> Self {
        let (settings, calls) = (settings.image.clone(), settings.calls.clone());
        Self { client, settings, calls, memory: Mutex::default() }
    }

    /// Checks whether the image may be launched. `Err`: the registry could not be read.
    pub async fn check(&self, named: Named<'_>) -> Result<ImageCheck, CallError> {
        if let Some(good) = self.known_good(named) {
            return Ok(good);
        }
        let verdict = self.look(named).await?.and_then(|digest| self.remember(named, digest));
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.good = verdict
            .as_ref()
            .ok()
            .map(|digest| (Instant::now(), named.task_definition.to_owned(), digest.clone()));
        Ok(verdict)
    }

    fn known_good(&self, named: Named<'_>) -> Option<ImageCheck> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let age = Duration::from_secs(self.settings.recheck_seconds);
        let (at, revision, digest) = memory.good.as_ref()?;
        (at.elapsed() < age && revision == named.task_definition).then(|| Ok(digest.clone()))
    }

    async fn look(&self, named: Named<'_>) -> Result<ImageCheck, CallError> {
        if !self.settings.check {
            return Ok(Ok(None));
        }
        let Some(reference) = Reference::parse(named.image) else {
            return Ok(Err(Unfit::NotAReference(named.image.chars().take(200).collect())));
        };
        if self.settings.require_digest && reference.digest.is_none() {
            return Ok(Err(Unfit::ByTag(reference.short())));
        }
        match &reference.registry {
            Registry::Ecr { account, region } => {
                let place = Place { account, region, reference: &reference };
                self.look_in_ecr(named, place).await
            }
            Registry::Other(host) if self.settings.other_registries == OtherRegistries::Skip => {
                tracing::info!(
                    image = named.image,
                    registry = host,
                    "image is not in ecr: launched unchecked"
                );
                Ok(Ok(None))
            }
            Registry::Other(host) => Ok(Err(Unfit::OtherRegistry(host.clone()))),
        }
    }

    async fn look_in_ecr(&self, named: Named<'_>, place: Place<'_>) -> Result<ImageCheck, CallError> {
        let ImageIdentity { tag, digest } = ImageIdentity::of(place.reference);
        let Some(top) = self.manifest(place, tag, digest).await? else {
            return Ok(Err(Unfit::Absent(place.reference.short())));
        };
        let child = match manifest(&top.text, named.architecture) {
            Ok(Manifest::Index(child)) => child,
            Ok(Manifest::Image(configuration)) => {
                return self.judge(named, place, &top.digest, &top.digest, &configuration).await;
            }
            Err(unfit) => return Ok(Err(unfit)),
        };
        let Some(image) = self.manifest(place, None, Some(&child)).await? else {
            return Ok(Err(Unfit::Absent(format!("{}@{child}", place.reference.repository))));
        };
        match manifest(&image.text, named.architecture) {
            Ok(Manifest::Image(configuration)) => {
                self.judge(named, place, &top.digest, &child, &configuration).await
            }
            Ok(Manifest::Index(_)) => Ok(Err(Unfit::Unreadable("an index within an index".into()))),
            Err(unfit) => Ok(Err(unfit)),
        }
    }

    /// Checks an image that exists: `digest` is that of its reference, `image` the manifest for the platform.
    async fn judge(
        &self,
        named: Named<'_>,
        place: Place<'_>,
        digest: &str,
        image: &str,
        config: &str,
    ) -> Result<ImageCheck, CallError> {
        let text = match self.configuration(place, config).await? {
            Ok(text) => text,
            Err(unfit) => return Ok(Err(unfit)),
        };
        if let Err(unfit) = configuration(&text, named.architecture) {
            return Ok(Err(unfit));
        }
        if self.settings.refuse_findings != Severity::Off || self.settings.require_scan {
            let found = self.findings(place, image).await?;
            if let Scan::None(status) = &found {
                tracing::debug!(image = named.image, status, "image is not scanned");
            }
            if let Err(unfit) = scan(&found, self.settings.refuse_findings, self.settings.require_scan) {
                return Ok(Err(unfit));
            }
        }
        Ok(Ok(Some(digest.to_owned())))
    }

    /// Notes the digest of a tag when its revision is first found fit; refuses any other digest for it later.
    fn remember(&self, named: Named<'_>, digest: Option<String>) -> ImageCheck {
        let by_tag = Reference::parse(named.image).filter(|reference| reference.digest.is_none());
        let (Some(tag), Some(now), false) =
            (by_tag.and_then(|reference| reference.tag), &digest, self.settings.allow_moved_tags)
        else {
            return Ok(digest);
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.tags.len() >= MAX_REVISIONS {
            memory.tags.clear();
        }
        let was = memory.tags.entry(named.task_definition.to_owned()).or_insert_with(|| now.clone());
        if was == now {
            return Ok(digest);
        }
        Err(Unfit::Moved { tag, was: was.clone(), now: now.clone() })
    }

    async fn manifest(
        &self,
        place: Place<'_>,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Option<Document>, CallError> {
        let id = ImageIdentifier::builder()
            .set_image_tag(tag.map(str::to_owned))
            .set_image_digest(digest.map(str::to_owned))
            .build();
        let answer = self
            .client
            .batch_get_image()
            .registry_id(place.account)
            .repository_name(&place.reference.repository)
            .image_ids(id)
            .customize()
            .config_override(place.region())
            .send()
            .await;
        let absent = BatchGetImageError::is_repository_not_found_exception;
        let Some(answer) = unless_absent(GET_IMAGE, answer, absent)? else { return Ok(None) };
        if let Some(failure) = answer.failures().first() {
            return match failure.failure_code() {
                Some(ImageFailureCode::ImageNotFound) => Ok(None),
                _ => Err(failed(GET_IMAGE, failure.failure_reason().unwrap_or("failed without a reason"))),
            };
        }
        let image = answer.images().first();
        let found =
            image.and_then(|image| Some((image.image_id()?.image_digest()?, image.image_manifest()?)));
        let Some((digest, text)) = found else {
            return Err(failed(GET_IMAGE, "neither an image nor a failure"));
        };
        Ok(Some(Document { digest: digest.to_owned(), text: text.to_owned() }))
    }

    async fn findings(&self, place: Place<'_>, digest: &str) -> Result<Scan, CallError> {
        let answer = self
            .client
            .describe_image_scan_findings()
            .registry_id(place.account)
            .repository_name(&place.reference.repository)
            .image_id(ImageIdentifier::builder().image_digest(digest).build())
            // The counts cover all findings, whatever the page size.
            .max_results(1)
            .customize()
            .config_override(place.region())
            .send()
            .await;
        let absent = DescribeImageScanFindingsError::is_scan_not_found_exception;
        let Some(answer) = unless_absent(GET_FINDINGS, answer, absent)? else {
            return Ok(Scan::None("no scan".into()));
        };
        let status = answer.image_scan_status().and_then(|status| status.status());
        // ACTIVE: enhanced scanning never completes; its findings so far count.
        if !matches!(status, Some(ScanStatus::Complete | ScanStatus::Active)) {
            return Ok(Scan::None(status.map_or("no status", ScanStatus::as_str).to_owned()));
        }
        let counts = answer.image_scan_findings().and_then(|found| found.finding_severity_counts());
        let counts = counts.into_iter().flatten();
        Ok(Scan::Done(
            counts
                .map(|(name, count)| (name.as_str().to_owned(), u32::try_from(*count).unwrap_or(0)))
                .collect(),
        ))
    }

    /// The image's configuration, verified by its digest.
    async fn configuration(
        &self,
        place: Place<'_>,
        digest: &str,
    ) -> Result<Result<String, Unfit>, CallError> {
        let answer = self
            .client
            .get_download_url_for_layer()
            .registry_id(place.account)
            .repository_name(&place.reference.repository)
            .layer_digest(digest)
            .customize()
            .config_override(place.region())
            .send()
            .await;
        let absent = GetDownloadUrlForLayerError::is_layers_not_found_exception;
        let Some(answer) = unless_absent(GET_LAYER, answer, absent)? else {
            return Ok(Err(Unfit::Unreadable(format!("its configuration {digest} is not there"))));
        };
        let url = answer.download_url().ok_or_else(|| failed(GET_LAYER, "no address in the answer"))?;
        let bytes = self.download(url).await.map_err(|error| failed(GET_LAYER, &error))?;
        let found = Sha256::digest(&bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        Ok(match String::from_utf8(bytes) {
            Ok(text) if digest.strip_prefix("sha256:") == Some(found.as_str()) => Ok(text),
            _ => Err(Unfit::Unreadable(format!("its configuration is not what {digest} stands for"))),
        })
    }

    /// Downloads from a URL that ECR has signed. The URL is a secret while it is valid, so no error contains it.
    async fn download(&self, url: &str) -> Result<Vec<u8>, String> {
        let answer = plain::ask(&self.calls, MAX_CONFIGURATION, |client| client.get(url)).await;
        match answer {
            Ok(Response { status: 200, bytes, .. }) => Ok(bytes),
            Ok(Response { status, .. }) => Err(format!("download: HTTP {status}")),
            Err(failure) => Err(format!("download: {failure}")),
        }
    }
}

/// Registry and repository of an image.
#[derive(Clone, Copy)]
struct Place<'a> {
    account: &'a str,
    region: &'a str,
    reference: &'a Reference,
}

impl Place<'_> {
    /// The image's Region may differ from the cluster's.
    fn region(&self) -> Builder {
        aws_sdk_ecr::config::Config::builder().region(Region::new(self.region.to_owned()))
    }
}

/// The image identity in `BatchGetImage`: a digest outranks the tag in the same reference.
struct ImageIdentity<'a> {
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> ImageIdentity<'a> {
    fn of(reference: &'a Reference) -> Self {
        let digest = reference.digest.as_deref();
        Self { tag: reference.tag.as_deref().filter(|_| digest.is_none()), digest }
    }
}

/// A manifest.
struct Document {
    digest: String,
    text: String,
}

fn failed(operation: &'static str, message: &str) -> CallError {
    CallError { operation, class: ErrorClass::Transient, message: message.to_owned() }
}
