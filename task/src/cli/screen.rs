//! Progress for a person: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use transcode_config::contract::Stage;
use transcode_media::Event;

/// The bar counts in tenths of a percent.
const STEPS: u64 = 1000;
/// Without a terminal: a line every this many percent.
const EACH: f32 = 10.0;

/// The progress display on standard error, so that standard output stays usable.
#[derive(Debug)]
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    stage: Option<Stage>,
    next: f32,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(STEPS);
            // If this template has an error, the default style stays.
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix:12} [{bar:40}] {percent:>3} % {msg} {elapsed_precise} eta {eta}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar, stage: None, next: 0.0 }
    }

    /// Shows an event.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Stage(stage) if self.stage != Some(*stage) => {
                (self.stage, self.next) = (Some(*stage), EACH);
                match &self.bar {
                    Some(bar) => bar.set_prefix(stage.name()),
                    None => line(stage.name()),
                }
            }
            Event::Progress { percent, speed } => self.progress(*percent, *speed),
            Event::Stage(_) | Event::FileReady(_) | Event::Playable(_) => {}
        }
    }

    fn progress(&mut self, percent: f32, speed: Option<f32>) {
        let percent = percent.clamp(0.0, 100.0);
        let speed = speed.map(|speed| format!("{speed:.1}x")).unwrap_or_default();
        if let Some(bar) = &self.bar {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            bar.set_position((percent * 10.0) as u64);
            bar.set_message(speed);
        } else if percent >= self.next {
            line(&format!("{} {percent:.0} % {speed}", self.stage.map_or("", Stage::name)));
            self.next = percent + EACH;
        }
    }

    /// Removes the display.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(text: &str) {
    writeln!(std::io::stderr(), "{}", text.trim_end()).ok();
}
