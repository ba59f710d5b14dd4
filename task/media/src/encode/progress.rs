//! The encoder's progress, from ffmpeg's reports.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{job::Event, plan::Chunk};

/// A message to the thread that cuts.
#[derive(Debug)]
pub(super) enum Tick {
    /// Files may have grown.
    More,
    /// A chunk has begun, in a folder of its own. Chunks begin in order.
    Begun(Chunk, PathBuf),
    /// A chunk is complete.
    Ended(Chunk),
    /// The encoder has ended.
    Done,
}

/// Adds up the reports of every run of a job.
#[derive(Debug)]
pub(super) struct Progress {
    seconds: f64,
    share: (f32, f32),
    runs: BTreeMap<usize, ProgressReport>,
}

impl Progress {
    /// Progress of a result of `seconds`. `share`: first and last percent of the whole job.
    pub(super) fn new(seconds: f64, share: (f32, f32)) -> Self {
        Self { seconds: seconds.max(0.001), share, runs: BTreeMap::new() }
    }

    /// Takes a line of run `number`, which makes `seconds` of the result; at the end of a report gives the progress.
    /// Percent never falls.
    pub(super) fn line(&mut self, number: usize, seconds: f64, line: &str) -> Option<Event> {
        let report = self.runs.entry(number).or_default();
        if !report.line(line, seconds) {
            return None;
        }
        let done = self.runs.values().map(|run| run.done).sum::<f64>() / self.seconds;
        let (from, to) = self.share;
        #[allow(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
        let percent = from + (to - from) * done.clamp(0.0, 1.0) as f32;
        let speeds = self.runs.values().filter_map(|run| run.speed);
        Some(Event::Progress { percent, speed: speeds.reduce(|all, one| all + one) })
    }
}

/// One run's reports.
#[derive(Debug, Default)]
struct ProgressReport {
    /// Seconds of the result that are made.
    done: f64,
    /// Speed as a multiple of real time, while the run works.
    speed: Option<f32>,
}

impl ProgressReport {
    /// Takes a line. True at the end of a report.
    fn line(&mut self, line: &str, seconds: f64) -> bool {
        match line.split_once('=') {
            Some(("out_time_us", value)) => {
                let now = value.trim().parse::<f64>().unwrap_or(0.0) / 1e6;
                self.done = self.done.max(now.clamp(0.0, seconds));
                false
            }
            Some(("speed", value)) => {
                let speed = value.trim().trim_end_matches('x').parse().ok();
                self.speed = speed.filter(|speed: &f32| speed.is_finite());
                false
            }
            Some(("progress", value)) => {
                if value.trim() == "end" {
                    self.speed = None;
                }
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(progress: &mut Progress, (number, seconds): (usize, f64), time: &str) -> (f32, Option<f32>) {
        for line in ["frame=12", &format!("out_time_us={time}"), "speed=1.5x"] {
            assert_eq!(progress.line(number, seconds, line), None);
        }
        match progress.line(number, seconds, "progress=continue") {
            Some(Event::Progress { percent, speed }) => (percent, speed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn progress_is_a_share_of_the_whole_and_never_falls() {
        let mut progress = Progress::new(10.0, (5.0, 85.0));
        let mut at = |time| at(&mut progress, (0, 10.0), time);
        assert_eq!(at("N/A"), (5.0, Some(1.5)));
        assert_eq!(at("5000000"), (45.0, Some(1.5)));
        assert_eq!(at("-100"), (45.0, Some(1.5)));
        assert_eq!(at("99000000"), (85.0, Some(1.5)));
    }

    #[test]
    fn runs_side_by_side_add_up_and_one_that_ended_has_no_speed() {
        let mut progress = Progress::new(10.0, (0.0, 100.0));
        assert_eq!(at(&mut progress, (0, 4.0), "2000000"), (20.0, Some(1.5)));
        assert_eq!(at(&mut progress, (1, 6.0), "3000000"), (50.0, Some(3.0)));
        // More than it had to make counts for no more.
        assert_eq!(at(&mut progress, (0, 4.0), "9000000"), (70.0, Some(3.0)));
        let ended = progress.line(0, 4.0, "progress=end");
        assert_eq!(ended, Some(Event::Progress { percent: 70.0, speed: Some(1.5) }));
    }
}
