//! `make dashboard-picture`: the deployed dashboard, drawn from the metrics in the emulator's CloudWatch after a run of
//! several jobs. Values, names and layout are real; only the drawing is ours.

mod chart;
mod data;
mod shape;
mod svg;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use aws_sdk_cloudwatch::primitives::DateTime;
use clap::Parser;

use crate::{Stack, StackOptions, paths, wait};

/// Longest run: several transcodes on a busy machine.
const LIMIT: Duration = Duration::from_mins(15);

/// Draws the dashboard after a run of several jobs.
#[derive(Debug, Parser)]
#[command(name = "dashboard-picture", about)]
pub struct Options {
    /// Path of the image.
    #[arg(long, default_value = "docs/dashboard.svg")]
    out: PathBuf,
    /// Number of uploaded videos, beside two files that are no video.
    #[arg(long, default_value_t = 6)]
    videos: u32,
}

/// Runs the jobs and draws.
pub async fn run(options: &Options, say: impl Fn(&str)) -> Result<()> {
    let began = std::time::SystemTime::now();
    let stack_options = StackOptions { environment: "demo".to_owned(), ..StackOptions::default() }
        .setting("launch.max_tasks", "2")
        .setting("observe.describe_seconds", "2")
        .setting("metrics.period_seconds", "5");
    let mut stack = Stack::with(stack_options).await?;
    say(&format!("uploading {} videos and two files that are none", options.videos));
    stack.put_source_body("notes.txt", b"not a film".to_vec()).await?;
    let clip = paths::clip()?;
    for number in 1..=options.videos {
        stack.put_source(&format!("holiday-{number}.mp4"), &clip).await?;
    }
    stack.put_source_body("broken.mp4", vec![7; 4096]).await?;
    let expected = options.videos as usize + 2;
    wait::until("every job is settled", LIMIT, async || {
        stack.ensure_alive()?;
        let mut decided = 0;
        for job in stack.jobs().await? {
            decided += usize::from(stack.record(&job.job).await?.is_some());
        }
        let waiting = stack.jobs_waiting().await?.total();
        Ok((decided == expected && waiting == 0).then_some(()))
    })
    .await?;
    say("waiting for the last metrics");
    let end = wait::until("the last task is paid for", LIMIT, async || {
        data::latest(&stack, "JobCost", options.videos).await
    })
    .await?;
    let span = data::Span { from: DateTime::from(began), to: end };
    let widgets = data::read(&stack, &span).await?;
    ensure!(!widgets.is_empty(), "the dashboard has no widgets");
    let picture = svg::draw(&widgets, &span);
    std::fs::write(&options.out, picture).with_context(|| options.out.display().to_string())?;
    say(&format!("{} widgets in {}", widgets.len(), options.out.display()));
    Ok(())
}
