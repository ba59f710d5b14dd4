//! `make demo`: one real video through the pipeline, shown while it happens.

mod console;
mod output;
mod summary;
mod watch;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{Stack, StackOptions, paths};
use console::Console;
use output::OutputFolder;

/// Takes a video through the whole pipeline on this machine.
#[derive(Debug, Parser)]
#[command(name = "demo", about)]
pub struct Options {
    /// The video; none takes a short real clip.
    #[arg(long)]
    video: Option<PathBuf>,
    /// Folder for a copy of everything that is published; replaced if an earlier demo made it.
    #[arg(long, default_value = "out")]
    out: PathBuf,
}

/// Runs the demo. Dropping the future before it is done ends every process and removes every file that it made.
pub async fn run(options: Options) -> Result<()> {
    let start = Instant::now();
    let video = match options.video {
        Some(video) => video,
        None => paths::clip()?,
    };
    ensure!(video.is_file(), "VIDEO={} is not a file", video.display());
    let key =
        video.file_name().and_then(|name| name.to_str()).context("VIDEO's name is not UTF-8")?.to_owned();
    let out = OutputFolder::claim(&options.out)?;
    let mut console = Console::new();

    console.say("Starting the local AWS, deploying deploy/template.yaml on it, starting the controller")?;
    let environment = "demo".to_owned();
    let mut stack = Stack::with(StackOptions { environment, ..StackOptions::default() }).await?;
    let bucket = &stack.deployment.source_bucket;
    console.say(&format!("  ready after {:.1} s", start.elapsed().as_secs_f32()))?;
    console.say(&format!("Uploading {} to s3://{bucket}/{key}", video.display()))?;
    stack.put_source(&key, &video).await?;

    let uploaded = Instant::now();
    let result = watch::until_decided(&mut stack, &key, &mut console).await;
    console.finish();
    let succeeded = match result {
        Ok(succeeded) => succeeded,
        Err(failure) => return Err(failure),
    };
    watch::until_published(&stack, &succeeded).await?;
    let took = uploaded.elapsed();
    summary::print(&mut console, &stack, &key, &succeeded, took).await?;
    out.fill(&stack, &key).await?;
    summary::how_to_play(&mut console, &options.out)
}
