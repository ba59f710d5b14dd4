//! Loudness by EBU R128: measured over the decoded audio, then corrected by one constant gain.
//!
//! A constant gain keeps the dynamics of the audio. A limiter rounds peaks off only where the gain would lift them
//! above the ceiling. The encoded result is measured again.

use std::{ffi::OsString, path::Path};

use transcode_config::contract::Failure;

use super::even;
use crate::{
    encode::blame,
    job::Context,
    plan::{
        AudioPlan, Plan, audio_file,
        loudness::{Gain, Loudness, MOST, gain},
        mix, samples, seek,
    },
    process::{Finished, Invocation, Tool, input_flags, local, words},
    verify::Check,
};

/// How near to the target the result must be, in LU.
const TOLERANCE: f64 = 1.0;

/// Measures every audio rendition of the plan as it will be mixed, converts tracks whose format changes to one
/// format, and puts the gains into the plan.
pub(crate) async fn correct(
    context: &Context<'_>,
    plan: &mut Plan,
    share: (f32, f32),
) -> Result<(), Failure> {
    let target = context.job.profile.audio.loudness_lufs;
    let mut at = share.0;
    let step = (share.1 - share.0) / f32::from(u16::try_from(plan.audio.len().max(1)).unwrap_or(u16::MAX));
    for number in 0..plan.audio.len() {
        let heard = hear(context, plan, number).await?;
        let even = if heard.changes { even::out(context, plan, number).await? } else { None };
        let mut measured = heard.loudness;
        let Some(audio) = plan.audio.get_mut(number) else { break };
        if even.is_some() {
            audio.even = even;
            measured = hear(context, plan, number).await?.loudness;
        }
        let Some(audio) = plan.audio.get_mut(number) else { break };
        audio.loudness = measured;
        audio.gain = measured.zip(target).and_then(|(measured, target)| gain(measured, target));
        tracing::info!(track = audio.name, ?measured, gain = ?audio.gain, even = ?audio.even, "loudness");
        at += step;
        context.reached(at);
    }
    Ok(())
}

/// The measurement of a track.
struct Heard {
    /// None if the profile has no target, and for a track without samples.
    loudness: Option<Loudness>,
    /// Whether its format changes in the middle.
    changes: bool,
}

async fn hear(context: &Context<'_>, plan: &Plan, number: usize) -> Result<Heard, Failure> {
    let nothing = Heard { loudness: None, changes: false };
    let Some(audio) = plan.audio.get(number) else { return Ok(nothing) };
    let changes = |finished: &Finished| finished.audio_set_up > 1;
    if audio.even.is_none() && !audio.stream.parts.is_empty() {
        return Ok(Heard { loudness: None, changes: true });
    }
    if context.job.profile.audio.loudness_lufs.is_none() {
        if audio.even.is_some() || !audio.may_change {
            return Ok(nothing);
        }
        let changes = changes(&even::listen(context, plan, audio).await?);
        return Ok(Heard { loudness: None, changes });
    }
    let flags = || input_flags().into_iter().chain(seek(plan)).map(OsString::from);
    let (file, from, input) = if let Some(even) = &audio.even {
        (even.file.as_path(), "0:a".to_owned(), even.input())
    } else {
        let source = ["-i".into(), local(context.job.input)];
        (context.job.input, format!("0:{}", audio.stream.index), flags().chain(source).collect())
    };
    let graph = format!("[{from}]{}{},{METER}[o]", mix(audio), samples(audio));
    let finished = measure(context, (file, plan.lead), input, &graph).await?;
    Ok(Heard { loudness: parse(&finished.stderr_tail), changes: changes(&finished) })
}

/// The meter. It logs its value for each tenth of a second only at the level `verbose`.
const METER: &str = "ebur128=peak=true:framelog=verbose";

/// Measures the renditions in the encoder's folder and compares them with the target.
pub(crate) async fn check(context: &Context<'_>, plan: &Plan, encoded: &Path) -> Result<Vec<Check>, Failure> {
    let Some(target) = context.job.profile.audio.loudness_lufs else { return Ok(Vec::new()) };
    let mut checks = Vec::new();
    for (number, audio) in plan.audio.iter().enumerate() {
        let Some(gain) = audio.gain else { continue };
        let flags = ["-protocol_whitelist", "file", "-format_whitelist", "mov"].map(String::from);
        let file = encoded.join(audio_file(number));
        let input = flags.map(OsString::from).into_iter().chain(["-i".into(), local(&file)]).collect();
        let measured = measure(context, (&file, 0.0), input, &format!("[0:a]{METER}[o]")).await?;
        let Some(result) = parse(&measured.stderr_tail) else { continue };
        checks.push(judge(audio, gain, result, target));
    }
    Ok(checks)
}

fn judge(audio: &AudioPlan, gain: Gain, result: Loudness, target: f64) -> Check {
    let near = (result.integrated - target).abs() <= TOLERANCE;
    // Peaks that had to be limited, and audio too quiet to be lifted all the way, may stay below.
    let excused = (gain.limit || gain.db >= MOST) && result.integrated < target;
    Check {
        rule: "audio.loudness",
        subject: format!("audio/{}", audio.name),
        measured: format!("{:.1} LUFS, peak {:.1} dB", result.integrated, result.peak),
        allowed: if gain.limit || gain.db >= MOST {
            format!("at most {:.1} LUFS: its peaks or its quietness allow no more gain", target + TOLERANCE)
        } else {
            format!("{target:.1} ± {TOLERANCE:.1} LUFS")
        },
        passed: near || excused,
        // Noise loses level in any codec at this bit rate. A result that is too quiet is a warning, not a lost job.
        advisory: result.integrated < target,
    }
}

/// Measures. `lead`: seconds of input that ffmpeg decodes and drops, writing nothing meanwhile.
async fn measure(
    context: &Context<'_>,
    (file, lead): (&Path, f64),
    input: Vec<OsString>,
    graph: &str,
) -> Result<Finished, Failure> {
    // Verbose: at that level ffmpeg logs each new filter graph.
    let mut args = words("-hide_banner -nostdin -loglevel verbose -nostats -progress pipe:1");
    args.extend(input);
    args.extend(["-filter_complex", graph, "-map", "[o]", "-f", "null", "-"].map(OsString::from));
    let call = Invocation::reading(Tool::Ffmpeg, file, args, even::limits(lead));
    context.tools.run(call, &mut |_| (), context.stop).await.map_err(blame)
}

/// Reads the summary at the end of `ebur128`'s output. None if there is none, as for a track without samples.
fn parse(stderr: &str) -> Option<Loudness> {
    let (_, summary) = stderr.rsplit_once("Summary:")?;
    let value = |name: &str| {
        let line = summary.lines().find_map(|line| line.trim().strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(Loudness { integrated: value("I:")?, peak: value("Peak:").unwrap_or(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_and_nothing_before_it() {
        let text = "title: Summary: I: 3 LUFS\n[x @ 0x1] Summary:\n\n  Integrated loudness:\n    I:         -34.1 LUFS\n\
                    Threshold: -44.5 LUFS\n  True peak:\n    Peak:      -13.5 dBFS\n";
        assert_eq!(parse(text), Some(Loudness { integrated: -34.1, peak: -13.5 }));
        assert_eq!(parse("nothing"), None);
    }
}
