//! The task's image: its reference in the task definition, its description in the registry, and whether it may be
//! launched. Pure.
//!
//! An image that cannot run costs every job its attempts, one by one and slowly: each attempt pulls, fails and is
//! retried. Therefore the image is checked before any claim, and an unfit image pauses launches with a reason.
//!
//! # What is pinned
//! An attempt names a revision of the task definition; `RunTask` has no override for the image. The controller could
//! register its own revision with a digest, but a controller that may register definitions and pass roles may run any
//! image with those roles. So the operator deploys a revision with a digest (`image.require_digest` enforces it). A tag
//! must not change its image under one revision, and the claim records the digest that the tag meant. `RunTask` stays a
//! function of the claim alone (S7): no result of this check is part of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use transcode_config::{
    contract::{IMAGE_CONTRACT_LABEL, SCHEMA},
    settings::Severity,
};

/// Most platforms listed in a reason.
const MAX_LISTED: usize = 8;

/// The registry of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// ECR of this account and Region.
    Ecr {
        /// Account id, twelve digits.
        account: String,
        /// Region, such as `eu-west-1`.
        region: String,
    },
    /// Another host.
    Other(String),
}

/// An image as a task definition names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Reference {
    /// The registry.
    pub registry: Registry,
    pub repository: String,
    /// The tag; `latest` if the reference has neither tag nor digest.
    pub tag: Option<String>,
    /// The digest, `sha256:…`. It outranks a tag in the same reference.
    pub digest: Option<String>,
}

/// Why an image must not be launched. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Unfit {
    /// The text is no image reference.
    #[error(
        "{0:?} is no image reference: deploy a task definition with registry/repository:tag or @sha256:…"
    )]
    NotAReference(String),
    /// The registry cannot be read, and the settings require a check.
    #[error(
        "the image is in {0}, where nothing can be read of it: push it to ECR, or set image.other_registries = \"skip\""
    )]
    OtherRegistry(String),
    /// The settings require a digest.
    #[error(
        "the image {0} is named by tag: deploy a task definition with @sha256:…, or set image.require_digest = false"
    )]
    ByTag(String),
    /// The registry does not have the image.
    #[error(
        "there is no image {0} in ECR: push it, or deploy a task definition that names one that is there"
    )]
    Absent(String),
    /// The tag was moved.
    #[error(
        "tag {tag} meant {was} when this revision of the task definition was first seen, and now means {now}: deploy a \
         new revision, move the tag back, or set image.allow_moved_tags = true"
    )]
    Moved {
        tag: String,
        /// The digest that the tag meant.
        was: String,
        /// The digest that the tag means now.
        now: String,
    },
    /// The image has another platform.
    #[error(
        "the task definition wants {wanted} and the image is for {found}: push one for {wanted}, or deploy with the other CpuArchitecture"
    )]
    OtherPlatform {
        /// `os/architecture`.
        wanted: String,
        /// The platforms of the image.
        found: String,
    },
    /// The image has no label of ours, or is older than the label.
    #[error(
        "the image has no label {IMAGE_CONTRACT_LABEL}, so it is no transcode-task, or one before the label: deploy one that has it"
    )]
    NoContract,
    /// The image has another version of the contract.
    #[error(
        "the image's task speaks version {0} of the contract and this controller {SCHEMA}: deploy task and controller of one release"
    )]
    OtherContract(String),
    /// The scan has findings that the settings refuse.
    #[error("ECR's scan of the image found {0}: push one without them, or raise image.refuse_findings")]
    Findings(String),
    /// The image was not scanned.
    #[error("ECR has not scanned the image ({0}): scan it, or set image.require_scan = false")]
    NotScanned(String),
    /// The registry's answer has an unexpected form.
    #[error("the image in ECR cannot be read ({0}): push it again")]
    Unreadable(String),
}

impl Reference {
    /// Parses a reference; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        if digest.as_ref().is_some_and(|digest| !is_digest(digest)) {
            return None;
        }
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", rest),
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        let plain = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || b"._-".contains(&byte) || more.contains(&byte)
                })
        };
        let fits =
            plain(repository, b"/") && tag.as_ref().is_none_or(|tag| plain(tag, b"") && tag.len() <= 128);
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        fits.then(|| Self { registry: registry(host), repository: repository.to_owned(), tag, digest })
    }

    /// Repository and tag or digest, for people.
    pub fn short(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.repository),
            (None, Some(tag)) => format!("{}:{tag}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }
}

fn registry(host: &str) -> Registry {
    let parts: Vec<&str> = host.split('.').collect();
    let ecr = match parts[..] {
        [account, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com"]
        | [account, "dkr", "ecr", region, "amazonaws", "com", "cn"]
        | [account, "dkr-ecr" | "dkr-ecr-fips", region, "on", "aws"] => Some((account, region)),
        _ => None,
    };
    match ecr {
        Some((account, region))
            if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Registry::Ecr { account: account.to_owned(), region: region.to_owned() }
        }
        _ => Registry::Other(host.to_owned()),
    }
}

/// Whether the text is `sha256:` and 64 hexadecimal digits.
fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The architecture of a task definition, in the words of image manifests. ECS' default is x86.
pub fn architecture(runtime_platform: Option<&str>) -> &'static str {
    if runtime_platform == Some("ARM64") { "arm64" } else { "amd64" }
}

/// The next document that a manifest refers to, by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// A manifest of one image: its configuration.
    Image(String),
    /// An index: the manifest for the wanted architecture.
    Index(String),
}

#[derive(Deserialize)]
struct RawManifest {
    config: Option<Described>,
    #[serde(default)]
    manifests: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// Reads a manifest (Docker's or OCI's, of one image or an index).
pub fn manifest(text: &str, architecture: &str) -> Result<Manifest, Unfit> {
    let raw: RawManifest =
        serde_json::from_str(text).map_err(|error| Unfit::Unreadable(format!("manifest: {error}")))?;
    let found = if let Some(config) = raw.config {
        Manifest::Image(config.digest)
    } else {
        let platform =
            |one: &Described| one.platform.as_ref().map(|it| (it.os.clone(), it.architecture.clone()));
        let fits =
            |one: &&Described| platform(one).is_some_and(|(os, arch)| os == "linux" && arch == architecture);
        let Some(child) = raw.manifests.iter().find(fits) else {
            let others = raw.manifests.iter().filter_map(platform).filter(|(os, _)| os != "unknown");
            let others: Vec<String> =
                others.take(MAX_LISTED).map(|(os, architecture)| format!("{os}/{architecture}")).collect();
            return Err(other_platform(architecture, &others.join(", ")));
        };
        Manifest::Index(child.digest.clone())
    };
    let (Manifest::Image(digest) | Manifest::Index(digest)) = &found;
    if is_digest(digest) { Ok(found) } else { Err(Unfit::Unreadable(format!("digest {digest:?}"))) }
}

fn other_platform(architecture: &str, found: &str) -> Unfit {
    Unfit::OtherPlatform { wanted: format!("linux/{architecture}"), found: found.to_owned() }
}

#[derive(Deserialize)]
struct RawConfig {
    os: String,
    architecture: String,
    config: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

/// Checks an image's configuration: platform and contract.
pub fn configuration(text: &str, architecture: &str) -> Result<(), Unfit> {
    let raw: RawConfig =
        serde_json::from_str(text).map_err(|error| Unfit::Unreadable(format!("configuration: {error}")))?;
    if raw.os != "linux" || raw.architecture != architecture {
        return Err(other_platform(architecture, &format!("{}/{}", raw.os, raw.architecture)));
    }
    let labels = raw.config.and_then(|config| config.labels).unwrap_or_default();
    match labels.get(IMAGE_CONTRACT_LABEL) {
        None => Err(Unfit::NoContract),
        Some(version) if *version == SCHEMA.to_string() => Ok(()),
        Some(other) => Err(Unfit::OtherContract(other.chars().take(20).collect())),
    }
}

/// The result of ECR's scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// Number of findings for each severity, as ECR names them.
    Done(BTreeMap<String, u32>),
    /// No result: not scanned, not finished, or not possible. Holds ECR's status.
    None(String),
}

/// Checks the result of a scan.
pub fn scan(scan: &Scan, refuse: Severity, required: bool) -> Result<(), Unfit> {
    let counts = match scan {
        Scan::Done(counts) => counts,
        Scan::None(status) if required => return Err(Unfit::NotScanned(status.clone())),
        Scan::None(_) => return Ok(()),
    };
    let severities = [
        (Severity::Critical, "CRITICAL"),
        (Severity::High, "HIGH"),
        (Severity::Medium, "MEDIUM"),
        (Severity::Low, "LOW"),
    ];
    let bad: Vec<String> = severities
        .iter()
        .filter(|(severity, _)| *severity >= refuse)
        .filter_map(|(_, name)| {
            counts.get(*name).filter(|count| **count > 0).map(|count| format!("{count} {name}"))
        })
        .collect();
    if bad.is_empty() { Ok(()) } else { Err(Unfit::Findings(bad.join(", "))) }
}

#[cfg(test)]
mod tests;
