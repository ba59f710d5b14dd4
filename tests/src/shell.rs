//! Command lines that documents and stacks print, run as a person does who has the AWS CLI.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{clients::REGION, paths};

/// Runs a command line with bash in `folder`, with the AWS CLI at `endpoint`, and returns what it prints.
pub fn run(endpoint: &str, folder: &Path, variables: &[(&str, &str)], command: &str) -> Result<String> {
    let cli = paths::tool("test/bin/aws")?;
    let tools = cli.parent().context("a program lies in a folder")?.display().to_string();
    let path = std::env::var("PATH").context("PATH")?;
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{tools}:{path}"))
        // No settings of whoever runs the tests.
        .env("HOME", folder)
        .envs([("AWS_ENDPOINT_URL", endpoint), ("AWS_REGION", REGION), ("AWS_DEFAULT_REGION", REGION)])
        .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_PAGER", "")])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .context("bash")?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command}\n{said}{complained}");
    Ok(said.into_owned())
}
