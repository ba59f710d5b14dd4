//! docs/deploy.md, "From a checkout to a video in ten commands": counted, and run.

use std::path::Path;

use anyhow::{Context, Result};
use transcode_tests::{Stack, StackOptions, clients::ACCOUNT, deployment::IMAGE_TAG, paths, shell};

/// Whoever reads on after this many has not begun.
const MOST: usize = 10;
/// The environment that the document deploys.
const ENVIRONMENT: &str = "prod";
/// Commands that need what is not here: a builder of images, a registry that takes them.
const ELSEWHERE: [&str; 2] = ["make images", "docker"];

/// The commands of the section, each with its continuation lines.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(paths::checkout().join("docs/deploy.md")).unwrap();
    let (_, section) = text.split_once("## From a checkout to a video in ten commands\n").unwrap();
    let (_, block) = section.split_once("```console\n$ ").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    block.split("\n$ ").map(str::to_owned).collect()
}

/// Those that run here, up to the first upload or from there on; what a reader fills in is the emulator's network.
fn script(after_the_upload_began: bool) -> String {
    let all = commands();
    let (begin, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.starts_with("export "));
    let upload = rest.iter().position(|one| one.contains("holiday.mp4")).unwrap();
    let (before, after) = rest.split_at(upload);
    let part = if after_the_upload_began { after } else { before };
    let here = part.iter().filter(|one| !ELSEWHERE.iter().any(|word| one.contains(word)));
    let lines: Vec<String> = begin.iter().chain(here).cloned().collect();
    lines.join("\n").replace("vpc-…", "vpc-00000001").replace("subnet-…,subnet-…", "subnet-00000001")
}

/// In a folder that looks like the checkout after `make images`.
fn deploy(endpoint: &str, folder: &Path) -> Result<()> {
    std::os::unix::fs::symlink(paths::checkout().join("deploy"), folder.join("deploy"))?;
    let parameters = folder.join(".tools/images/parameters");
    std::fs::create_dir_all(parameters.parent().context("a folder")?)?;
    std::fs::write(parameters, format!("CpuArchitecture=X86_64 ImageTag={IMAGE_TAG}\n"))?;
    shell::run(endpoint, folder, &[], &script(false)).map(drop)
}

#[tokio::test]
async fn ten_commands_lead_from_a_checkout_to_a_video() {
    let all = commands();
    assert!(all.len() <= MOST, "{} commands: {all:#?}", all.len());
    let elsewhere = all.iter().filter(|one| ELSEWHERE.iter().any(|word| one.contains(word)));
    assert_eq!(elsewhere.count(), 3, "all others are run here");

    let options = StackOptions {
        environment: ENVIRONMENT.into(),
        deployed_by: Some(deploy),
        ..StackOptions::default()
    };
    let stack = Stack::with(options).await.unwrap();
    let ecs = transcode_tests::clients::ecs(stack.endpoint());
    let service = format!("{ENVIRONMENT}-transcode-controller");
    let services = ecs.describe_services().cluster(&stack.deployment.cluster).services(service);
    let services = services.send().await;
    let count = services.unwrap().services()[0].desired_count();
    assert_eq!(count, 1, "the second deployment runs the controller");
    assert!(stack.deployment.source_bucket.contains(ACCOUNT), "as the upload's command names it");

    let source = paths::test_picture(stack.folder()).unwrap();
    std::fs::copy(source, stack.folder().join("holiday.mp4")).unwrap();
    let all = script(true);
    // The last command asks until the video is there. Here it asks once, when it is: an error in it would never end.
    let (upload, last) = all.split_once("\nuntil ").unwrap();
    let begin =
        commands().into_iter().filter(|one| one.starts_with("export ")).collect::<Vec<_>>().join("\n");
    shell::run(stack.endpoint(), stack.folder(), &[], upload).unwrap();
    let limit = std::time::Duration::from_mins(3);
    stack.wait_for_terminal_record("holiday.mp4", limit).await.unwrap();
    stack.wait_for_empty_queue(limit).await.unwrap();
    let once = format!("{begin}\nuntil {}", last.replace("sleep 5", "exit 1"));
    let said = shell::run(stack.endpoint(), stack.folder(), &[], &once).unwrap();
    assert!(said.trim_end().ends_with("master.m3u8"), "{said}");
}
