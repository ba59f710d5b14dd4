//! Images beside the video: the poster, the storyboard and thumbnails.

use std::{
    ffi::OsString,
    fmt::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use transcode_config::contract::Failure;

use super::{
    choice,
    folder::Folder,
    keys::{self, Key},
    text,
    track::{Track, Tracks},
};
use crate::{
    job::{Context, cannot_write},
    plan::VideoPlan,
    process::{Invocation, Limits, Tool, local},
    rational::round_to_u64,
};

/// Most images on a storyboard sheet. A hundred are enough for a seek bar, and the sheet stays below a megabyte.
const MAX_TILES: usize = 100;
/// Short side of a storyboard image.
const TILE_SHORT: f64 = 90.0;
/// Short side of the rung that thumbnails are taken from.
const THUMBNAIL_SHORT: u32 = 360;
/// Largest number of thumbnails.
const MAX_THUMBNAILS: usize = 5000;

/// Path of the storyboard's index.
pub const STORYBOARD: &str = "images/storyboard.vtt";
/// Path of the storyboard's sheet.
pub const SHEET: &str = "images/storyboard.jpg";
/// Path of the thumbnails' index.
pub const THUMBNAILS: &str = "images/thumbnails.vtt";
/// Path of the poster.
pub const POSTER: &str = "entry/poster.jpg";

/// Makes the images that the profile asks for.
pub(crate) async fn make(
    context: &Context<'_>,
    video: &VideoPlan,
    tracks: &Tracks,
    package: &mut Folder,
) -> Result<(), Failure> {
    let wanted = &context.job.profile.images;
    let work = context.job.work.join("images");
    std::fs::create_dir_all(&work).map_err(|error| cannot_write("images", &error))?;
    // Those of standard range come first.
    let rungs: Vec<_> = video.standard_range().zip(&tracks.video).collect();
    let small =
        rungs.iter().find(|(rung, _)| rung.width.min(rung.height) >= THUMBNAIL_SHORT).or(rungs.last());
    let (Some((rung, small)), Some((_, top))) = (small, rungs.last()) else { return Ok(()) };
    if wanted.poster || wanted.storyboard {
        let sheet = Sheet::of(keys::spread(&keys::all(small), MAX_TILES), rung.width, rung.height);
        let grey = sheet.draw(context, small, &work).await?;
        if wanted.storyboard {
            package.take(SHEET, &work.join("sheet.jpg"))?;
            package.write(STORYBOARD, sheet.index(small).as_bytes())?;
        }
        if wanted.poster {
            let best = choice::best(&grey).and_then(|best| sheet.keys.get(best)).or(sheet.keys.first());
            if let Some(best) = best {
                poster(context, small.seconds(best.fragment.start), top, &work, package).await?;
            }
        }
    }
    if let Some(every) = wanted.thumbnail_seconds {
        thumbnails(context, small, every, &work, package).await?;
    }
    std::fs::remove_dir_all(&work).ok();
    Ok(())
}

/// A sheet of small images.
struct Sheet<'a> {
    keys: Vec<Key<'a>>,
    columns: usize,
    rows: usize,
    tile: (u64, u64),
}

impl<'a> Sheet<'a> {
    fn of(keys: Vec<Key<'a>>, width: u32, height: u32) -> Self {
        let columns = (1..=10).find(|columns| columns * columns >= keys.len()).unwrap_or(10);
        let rows = keys.len().div_ceil(columns).max(1);
        let factor = TILE_SHORT / f64::from(width.min(height)).max(1.0);
        let side = |side: u32| round_to_u64(f64::from(side) * factor / 2.0).max(1) * 2;
        Self { keys, columns, rows, tile: (side(width), side(height)) }
    }

    /// Draws the sheet, and returns small grey images of every tile, from which the poster is chosen.
    async fn draw(&self, context: &Context<'_>, track: &Track, work: &Path) -> Result<Vec<u8>, Failure> {
        let (width, height) = self.tile;
        let (columns, rows) = (self.columns, self.rows);
        let graph = format!(
            "[0:v]split[a][b];[a]scale={width}:{height}:flags=area:out_range=pc,setsar=1,tile={columns}x{rows},\
             format=yuvj420p[sheet];[b]scale={}:{}:flags=area:out_range=pc,format=gray[grey]",
            choice::WIDTH,
            choice::HEIGHT,
        );
        let input = key_file(track, &self.keys, context, work)?;
        let args = words(
            &input,
            &[
                "-filter_complex",
                &graph,
                "-map",
                "[sheet]",
                "-frames:v",
                "1",
                "-q:v",
                "4",
                "-f",
                "image2",
                "-update",
                "1",
                "sheet.jpg",
                "-map",
                "[grey]",
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "grey.raw",
            ],
        );
        run(context, args, input, work).await?;
        std::fs::read(work.join("grey.raw")).map_err(|error| cannot_write("grey.raw", &error))
    }

    /// The index: the part of the sheet for each time.
    fn index(&self, track: &Track) -> String {
        let mut text = String::from("WEBVTT\n");
        for (number, key) in self.keys.iter().enumerate() {
            let end = self.keys.get(number + 1).map_or(track.duration(), |next| next.fragment.start);
            let (width, height) = self.tile;
            let column = u64::try_from(number % self.columns).unwrap_or_default();
            let row = u64::try_from(number / self.columns).unwrap_or_default();
            let _ = write!(
                text,
                "\n{} --> {}\nstoryboard.jpg#xywh={},{},{width},{height}\n",
                timestamp(track.seconds(key.fragment.start)),
                timestamp(track.seconds(end)),
                column * width,
                row * height,
            );
        }
        text
    }
}

async fn poster(
    context: &Context<'_>,
    at: f64,
    track: &Track,
    work: &Path,
    package: &mut Folder,
) -> Result<(), Failure> {
    let all = keys::all(track);
    let distance = |key: &Key<'_>| (track.seconds(key.fragment.start) - at).abs();
    let Some(key) = all.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) else { return Ok(()) };
    let input = key_file(track, &[*key], context, work)?;
    let args = words(
        &input,
        &[
            "-vf",
            "scale=out_range=pc,format=yuvj420p",
            "-frames:v",
            "1",
            "-q:v",
            "3",
            "-f",
            "image2",
            "-update",
            "1",
            "poster.jpg",
        ],
    );
    run(context, args, input, work).await?;
    package.take(POSTER, &work.join("poster.jpg"))
}

async fn thumbnails(
    context: &Context<'_>,
    track: &Track,
    every: u32,
    work: &Path,
    package: &mut Folder,
) -> Result<(), Failure> {
    let chosen = at_intervals(keys::all(track), |key| track.seconds(key.fragment.start), every);
    let input = key_file(track, &chosen, context, work)?;
    let args = words(
        &input,
        &[
            "-vf",
            "scale=out_range=pc,format=yuvj420p",
            "-fps_mode",
            "passthrough",
            "-q:v",
            "4",
            "-f",
            "image2",
            "thumbnail-%05d.jpg",
        ],
    );
    run(context, args, input, work).await?;
    let mut index = String::from("WEBVTT\n");
    for (number, key) in chosen.iter().enumerate() {
        let name = format!("thumbnail-{:05}.jpg", number + 1);
        package.take(&format!("images/{name}"), &work.join(&name))?;
        let end = chosen.get(number + 1).map_or(track.duration(), |next| next.fragment.start);
        let (from, to) = (timestamp(track.seconds(key.fragment.start)), timestamp(track.seconds(end)));
        let _ = write!(index, "\n{from} --> {to}\n{name}\n");
    }
    package.write(THUMBNAILS, index.as_bytes())
}

/// The first key at or after each multiple of the interval, up to the largest number of thumbnails.
fn at_intervals<K>(mut keys: Vec<K>, seconds: impl Fn(&K) -> f64, every: u32) -> Vec<K> {
    let mut next = 0.0;
    keys.retain(|key| {
        let at = seconds(key) + 1e-6;
        let due = at >= next;
        while at >= next {
            next += f64::from(every.max(1));
        }
        due
    });
    keys.truncate(MAX_THUMBNAILS);
    keys
}

fn key_file(track: &Track, keys: &[Key<'_>], context: &Context<'_>, work: &Path) -> Result<PathBuf, Failure> {
    let path = work.join("keys.mp4");
    keys::write(track, keys, context.job.output, &path).map_err(|error| cannot_write("keys.mp4", &error))?;
    Ok(path)
}

fn words(input: &Path, rest: &[&str]) -> Vec<OsString> {
    let head = "-hide_banner -nostdin -y -loglevel repeat+level+warning -nostats -progress pipe:1 \
                -protocol_whitelist file -format_whitelist mov -i";
    let mut args: Vec<OsString> = head.split_whitespace().map(OsString::from).collect();
    args.push(local(input));
    args.extend(rest.iter().map(OsString::from));
    args
}

async fn run(context: &Context<'_>, args: Vec<OsString>, input: PathBuf, work: &Path) -> Result<(), Failure> {
    let limits = Limits {
        wall: Duration::from_mins(30),
        stall: Duration::from_mins(3),
        cpu_seconds: 3600,
        memory_bytes: 8 << 30,
        file_bytes: 1 << 30,
        output_bytes: 4 << 30,
        stdout_bytes: 16 << 10,
    };
    let call = Invocation {
        tool: Tool::Ffmpeg,
        args,
        input: Some(input),
        extra_inputs: Vec::new(),
        output_dir: Some(work.to_owned()),
        limits,
    };
    context.tools.run(call, &mut |_| (), context.stop).await.map(|_| ())
}

fn timestamp(seconds: f64) -> String {
    text::timestamp(round_to_u64(seconds * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_come_at_their_interval_and_are_limited_in_number() {
        let keys: Vec<u32> = (0..20).collect();
        let seconds = |key: &u32| f64::from(*key) * 1.5;
        assert_eq!(at_intervals(keys, seconds, 5), [0, 4, 7, 10, 14, 17]);
        assert_eq!(at_intervals(vec![0, 1, 20], seconds, 5), [0, 20], "no two for one gap");
        let day: Vec<u32> = (0..86_400).collect();
        assert_eq!(at_intervals(day, |key| f64::from(*key), 1).len(), MAX_THUMBNAILS);
    }
}
