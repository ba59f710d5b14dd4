//! Rates that follow the title: short samples of the source are encoded at the profile's quality, and the ladder is
//! reduced to the bits that they need.
//!
//! A cartoon needs a fifth of the bits that a football match does. With one ladder for both, the cartoon's rungs end at
//! nearly the same rate, and its caps permit far more than it ever uses.

use std::{fs::File, io, path::Path, time::Duration};

use transcode_config::{
    contract::{Failure, FailureCode},
    ladder::{PerTitleSettings, Profile},
};

use crate::{
    encode::MEMORY,
    job::{Context, cannot_write},
    package::fragment::BoxReader,
    plan::{
        self, Plan, VideoPlan,
        per_title::{Need, PerTitle, apply, choose, starts},
        video_file,
    },
    process::{Invocation, Limits, Tool},
    rational::{float, round_to_u64},
};

/// Longest time for one sample. A sample that takes longer is not worth measuring.
const WALL: Duration = Duration::from_mins(10);
/// Most bytes that the encoders write for a sample: ten seconds of every rung at 100 Mb/s.
const MAX_BYTES: u64 = 2 << 30;

/// Part of a sample that must have been decoded for it to count.
const WHOLE: f64 = 0.75;

/// Measures, and fits the plan's rungs. If the source cannot be sampled the plan stays as it is: the job does not
/// fail for that.
pub(crate) async fn fit(context: &Context<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let profile = context.job.profile;
    let (Some(settings), Some(video)) = (&profile.per_title, &plan.video) else { return Ok(()) };
    let sample = sample_of(plan, video, settings, profile);
    let starts = starts(plan.seconds, sample.seconds, settings.samples);
    let mut report = PerTitle {
        samples: Vec::new(),
        sample_seconds: sample.seconds,
        rungs: Vec::new(),
        not_measured: None,
    };
    match measure(context, &sample, &starts).await {
        Ok((counted, needs)) => {
            let mut renditions: Vec<_> = video.standard_range().cloned().collect();
            report.samples = counted;
            report.rungs = choose(&renditions, &needs, settings.least_step);
            apply(&mut renditions, &report.rungs);
            plan.set_renditions(renditions, profile);
        }
        Err(failure) if failure.code == FailureCode::Interrupted => return Err(failure),
        Err(failure) => {
            tracing::warn!(%failure, "the source cannot be sampled; its ladder stays as it is");
            report.not_measured = Some(failure.message);
        }
    }
    for rung in &report.rungs {
        tracing::info!(rung.name, ?rung.need, rung.max_bps, ?rung.verdict, "per title");
    }
    plan.per_title = Some(report);
    Ok(())
}

/// The plan of one sample: the same video in the same rungs, for a few groups, without audio.
fn sample_of(plan: &Plan, video: &VideoPlan, settings: &PerTitleSettings, profile: &Profile) -> Plan {
    let groups = u64::from((settings.sample_seconds / profile.gop_seconds.max(1)).max(1));
    let frames = (groups * u64::from(video.gop_frames)).min(video.frames);
    let renditions = video.standard_range().cloned().collect();
    let video = VideoPlan { lead_frames: 0, frames, hdr: None, renditions, ..video.clone() };
    Plan {
        lead: 0.0,
        seconds: video.rate.seconds_of(frames),
        video: Some(video),
        audio: Vec::new(),
        progressive: None,
        ..plan.clone()
    }
}

/// The need of each rung over the samples that count, and where these begin.
async fn measure(
    context: &Context<'_>,
    sample: &Plan,
    starts: &[f64],
) -> Result<(Vec<f64>, Vec<Need>), Failure> {
    let work = context.job.work.join("samples");
    let rungs = sample.video.as_ref().map_or(0, |video| video.renditions.len());
    let mut total = vec![Tally::default(); rungs];
    let mut counted = Vec::new();
    for &at in starts {
        std::fs::create_dir_all(&work).map_err(|error| cannot_write("samples", &error))?;
        encode(context, sample, at, &work).await?;
        let tallies: io::Result<Vec<_>> =
            (0..rungs).map(|number| Tally::read(&work.join(video_file(number)))).collect();
        let tallies = tallies.map_err(|error| {
            Failure::new(FailureCode::EncodeFailed, "a sample cannot be read").with("error", error)
        })?;
        std::fs::remove_dir_all(&work).ok();
        // A damaged part has less to encode and says nothing about the rest.
        if tallies.iter().all(|tally| tally.seconds >= sample.seconds * WHOLE) {
            counted.push(at);
            total.iter_mut().zip(&tallies).for_each(|(total, one)| total.add(one));
        }
    }
    if counted.is_empty() {
        return Err(Failure::new(FailureCode::DecodeFailed, "no sample of the source could be decoded"));
    }
    Ok((counted, total.iter().map(Tally::need).collect()))
}

async fn encode(context: &Context<'_>, sample: &Plan, at: f64, work: &Path) -> Result<(), Failure> {
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args: plan::sample_arguments(sample, context.job.input, at),
        input: Some(context.job.input.to_owned()),
        extra_inputs: context.job.overlay.iter().map(|overlay| overlay.file.to_owned()).collect(),
        output_dir: Some(work.to_owned()),
        limits: Limits {
            wall: WALL,
            stall: Duration::from_mins(3),
            cpu_seconds: 2 * 3600,
            memory_bytes: MEMORY,
            file_bytes: MAX_BYTES,
            output_bytes: MAX_BYTES,
            stdout_bytes: 16 << 10,
        },
    };
    match context.tools.run(call, &mut |_| (), context.stop).await {
        // A part that ffmpeg cannot decode at all counts as a damaged sample.
        Err(failure) if failure.code != FailureCode::EncodeFailed => Err(failure),
        _ => Ok(()),
    }
}

/// Bits and seconds of a rung over its samples.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    bits: f64,
    seconds: f64,
    peak: f64,
}

impl Tally {
    /// Reads an encoded sample, group by group. Empty if the encoder wrote nothing.
    fn read(path: &Path) -> io::Result<Self> {
        let mut tally = Self::default();
        if !path.is_file() {
            return Ok(tally);
        }
        let mut reader = BoxReader::new(File::open(path)?);
        let Some(init) = reader.init()? else { return Ok(tally) };
        while let Some(group) = reader.fragment(&init, false)? {
            let bits = group.samples.iter().map(|frame| f64::from(frame.size) * 8.0).sum::<f64>();
            let seconds = float(group.duration()) / f64::from(init.timescale.max(1));
            tally.add(&Self { bits, seconds, peak: bits / seconds.max(0.001) });
        }
        Ok(tally)
    }

    fn add(&mut self, other: &Self) {
        self.bits += other.bits;
        self.seconds += other.seconds;
        self.peak = self.peak.max(other.peak);
    }

    fn need(&self) -> Need {
        let average = self.bits / self.seconds.max(0.001);
        Need { average_bps: round_to_u64(average), peak_bps: round_to_u64(self.peak) }
    }
}
