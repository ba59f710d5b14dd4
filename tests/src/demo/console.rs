//! The demo's output: a bar on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use transcode_config::escape::net;

/// Without a terminal, a line is printed each time the progress grows by this many percent.
const STEP: f32 = 10.0;

/// The progress of the job at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// The stage, in one or two words.
    pub(super) stage: String,
    /// 0–100.
    pub(super) percent: f32,
    /// Speed or the like; may be empty.
    pub(super) note: String,
}

/// The output of the demo.
#[derive(Debug)]
pub(super) struct Console {
    bar: Option<ProgressBar>,
    start: Instant,
    last: Option<Event>,
}

impl Console {
    /// A console on standard output.
    pub(super) fn new() -> Self {
        let bar = io::stdout().is_terminal().then(ProgressBar::hidden);
        Self { bar, start: Instant::now(), last: None }
    }

    /// Writes a line, above the bar if there is one.
    pub(super) fn say(&self, line: &str) -> Result<()> {
        let line = net(line);
        let write = || writeln!(io::stdout(), "{line}");
        match &self.bar {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(())
    }

    /// Shows the progress of the job.
    pub(super) fn show(&mut self, moment: Event) -> Result<()> {
        if self.last.as_ref() == Some(&moment) {
            return Ok(());
        }
        match &mut self.bar {
            Some(bar) => {
                if bar.is_hidden() {
                    *bar = visible_bar();
                }
                bar.set_prefix(moment.stage.clone());
                // The percentage is 0–100, so a thousandth of the bar fits any integer.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
                bar.set_position((moment.percent.clamp(0.0, 100.0) * 10.0) as u64);
                bar.set_message(moment.note.clone());
            }
            None => {
                if self.is_news(&moment) {
                    let Event { stage, percent, note } = &moment;
                    let seconds = self.start.elapsed().as_secs_f32();
                    let line = format!("{seconds:>7.1} s  {stage:<12} {percent:>3.0} %  {note}");
                    writeln!(io::stdout(), "{}", line.trim_end())?;
                } else {
                    return Ok(());
                }
            }
        }
        self.last = Some(moment);
        Ok(())
    }

    /// Removes the bar.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether the event needs a plain line: another stage, or some more percent.
    fn is_news(&self, moment: &Event) -> bool {
        self.last.as_ref().is_none_or(|last| {
            last.stage != moment.stage || (last.percent / STEP).floor() < (moment.percent / STEP).floor()
        })
    }
}

fn visible_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stdout());
    let template = "  {prefix:<12} [{bar:40}] {percent:>3} %  {msg}  ({elapsed})";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
