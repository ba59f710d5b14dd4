//! Images in the emulator's ECR: a manifest and a configuration as an image builder makes them, without layers. No
//! program pulls them (the local Fargate runs a program of this build), but the controller checks them as on AWS.

use anyhow::{Context, Result};
use aws_sdk_ecr::types::ImageIdentifier;
use serde_json::json;
use transcode_config::contract::{IMAGE_CONTRACT_LABEL, SCHEMA};

use crate::{
    clients::{ACCOUNT, REGION},
    emulator::Emulator,
};

/// The configuration of an image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Architecture, such as `amd64`.
    pub architecture: String,
    /// Value of the contract's label; `None`: no label.
    pub contract: Option<String>,
}

impl Default for Image {
    /// The image that the template's task definition needs.
    fn default() -> Self {
        Self { architecture: "amd64".into(), contract: Some(SCHEMA.to_string()) }
    }
}

/// Pushes an image and returns its digest.
pub async fn push(emulator: &Emulator, repository: &str, tag: &str, image: &Image) -> Result<String> {
    let label = image.contract.as_ref().map(|version| json!({IMAGE_CONTRACT_LABEL: version}));
    let config = json!({
        "architecture": image.architecture,
        "os": "linux",
        "config": {"Labels": label, "Entrypoint": ["transcode-task"]},
        "rootfs": {"type": "layers", "diff_ids": []},
    })
    .to_string();
    let digest = digest(&config);
    let url = format!("{}/v2/{repository}/blobs/uploads/?digest={digest}", emulator.endpoint);
    let size = config.len();
    let answer = reqwest::Client::new().post(url).body(config).send().await.context("pushing a blob")?;
    answer.error_for_status().context("pushing a blob")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size},
        "layers": [],
    });
    let put = emulator.clients.ecr.put_image().repository_name(repository).image_tag(tag);
    let answer = put.image_manifest(manifest.to_string()).send().await.context("PutImage")?;
    let id = answer.image().and_then(|image| image.image_id()).and_then(|id| id.image_digest());
    Ok(id.context("an image without a digest")?.to_owned())
}

/// The reference of an image of the emulator's ECR in a task definition.
pub fn name(repository: &str, tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}")
}

/// Removes a tag's image.
pub async fn remove(emulator: &Emulator, repository: &str, tag: &str) -> Result<()> {
    let id = ImageIdentifier::builder().image_tag(tag).build();
    let call = emulator.clients.ecr.batch_delete_image().repository_name(repository).image_ids(id);
    call.send().await.context("BatchDeleteImage")?;
    Ok(())
}

fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hex = Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("sha256:{hex}")
}
