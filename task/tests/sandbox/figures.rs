//! The tables of `SECURITY.md`: what each hostile file costs, and which system calls are allowed. With `UPDATE_DOCS=1`
//! both are written, otherwise compared. Figures differ between machines: of those the limits are checked.

use std::{
    fmt::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    corpus::{Bait, clip, compressed_index, external_references, ffmpeg, texts},
    program::PROFILE,
    support::PROGRAM,
};

/// Most memory that the task's own process may take, ffmpeg not counted.
const PEAK_MIB: u64 = 96;
/// Most processor time, in seconds: the longest makes 18,000 frames and 80 minutes of audio.
const CPU_SECONDS: f64 = 240.0;
/// Most bytes of output.
const BYTES: u64 = 64 << 20;
/// Most files of output: an hour in segments of two seconds for video and for audio, and a few more.
const FILES: usize = 4000;

/// What a run took.
struct Figures {
    code: String,
    peak_mib: u64,
    cpu_seconds: f64,
    files: usize,
    bytes: u64,
}

/// Runs the program on a file. The peak is that of its own process: the kernel's sum over children has ffmpeg's.
#[allow(clippy::zombie_processes, reason = "waited for by wait4, which tells the processor time")]
fn measure(input: &Path, output: &Path) -> Figures {
    let profile = output.with_extension("toml");
    std::fs::write(&profile, PROFILE.replace("max_duration_seconds = 60", "max_duration_seconds = 43_200"))
        .unwrap();
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.arg("--input").arg(input).arg("--output").arg(output).arg("--profile").arg(profile);
    let said = tempfile::tempfile().unwrap();
    let child = command.stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    // SAFETY: no pointers; the descriptor is closed by its owner.
    let ended = unsafe {
        use std::os::fd::{FromRawFd, OwnedFd};
        let descriptor = libc::syscall(libc::SYS_pidfd_open, child.id(), 0);
        OwnedFd::from_raw_fd(i32::try_from(descriptor).unwrap())
    };
    let mut peak = 0;
    while !readable(&ended, Duration::from_millis(2)) {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        peak = peak.max(line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap());
    }
    // SAFETY: all zeros are a valid rusage, and the pointer is writable. It is the process that was started above.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::wait4(i32::try_from(child.id()).unwrap(), std::ptr::null_mut(), 0, &raw mut usage);
        usage
    };
    // It ended before it was looked at: the sum is then its own, for it had no time to start ffmpeg.
    let peak = if peak == 0 { usage.ru_maxrss.unsigned_abs() } else { peak };
    let seconds = |time: libc::timeval| Duration::from_secs(time.tv_sec.unsigned_abs()).as_secs_f64();
    let files = files(output);
    Figures {
        code: code(said),
        peak_mib: peak.div_ceil(1024),
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        files: files.len(),
        bytes: files.iter().sum(),
    }
}

fn readable(descriptor: &impl AsRawFd, within: Duration) -> bool {
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which is writable.
    unsafe { libc::poll(&raw mut poll, 1, i32::try_from(within.as_millis()).unwrap()) > 0 }
}

/// The failure code in what was said, or that it plays.
fn code(mut said: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("transcode-task: "));
    line.and_then(|line| line.split_once(": "))
        .map_or_else(|| "plays".into(), |(code, _)| format!("`{code}`"))
}

/// Sizes of all files below a folder.
fn files(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        folder if folder.is_dir() => files(&entry.path()),
        file => vec![file.len()],
    });
    sizes.flatten().collect()
}

/// Small files that stand for hours, for gigabytes, or for many tracks.
fn bombs(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let at = |name: &str| folder.join(name);
    let still = at("still.mp4");
    let slow = "-f lavfi -i color=c=red:s=320x180:r=1:d=2 -vf setpts=PTS*20000 -fps_mode passthrough -c:v libx264 -bf 0";
    ffmpeg(&slow.split(' ').collect::<Vec<_>>(), &still);
    let burst = at("burst.mp4");
    let jump = "-f lavfi -i testsrc2=s=320x180:r=60:d=0.5 -vf setpts=if(eq(N\\,29)\\,39000/TB\\,PTS) -fps_mode passthrough \
                -c:v libx264 -preset ultrafast -bf 0";
    ffmpeg(&jump.split_whitespace().collect::<Vec<_>>(), &burst);
    let silence = at("silence.mkv");
    let late = "-f lavfi -i testsrc2=s=320x180:r=60:d=0.5 -f lavfi -i anullsrc=r=48000:cl=mono -t 0.5 -c:v libx264 \
                -preset ultrafast -c:a aac -bsf:a setts=ts=if(gte(N\\,20)\\,PTS+4800000\\,PTS)";
    ffmpeg(&late.split_whitespace().collect::<Vec<_>>(), &silence);
    let srt = |name: &str, cues: usize, length: usize, end: &str| {
        let mut text = String::new();
        for cue in 1..=cues {
            let _ = write!(text, "{cue}\n00:00:00,{:03} --> {end}\n{}\n\n", cue % 900, "A".repeat(length));
        }
        std::fs::write(at(name), text).unwrap();
        at(name)
    };
    let with = |video: &Path, text: &Path, times: usize, to: &str| {
        let (video, text) = (video.to_str().unwrap(), text.to_str().unwrap());
        let maps = ["-map", "1"].repeat(times);
        let codecs = ["-c:v", "copy", "-c:s", "srt"];
        ffmpeg(&[&["-i", video, "-i", text, "-map", "0:v"][..], &maps, &codecs].concat(), &at(to));
        at(to)
    };
    let (short, large) = (at("short.mp4"), at("large.mkv"));
    clip(&short, &[]);
    ffmpeg(
        &["-f", "lavfi", "-i", "color=black:s=9000x8000:d=1,format=gray", "-frames:v", "1", "-c:v", "ffv1"],
        &large,
    );
    let (many, line, all) = (
        srt("many.srt", 650, 990, "10:49:50,000"),
        srt("line.srt", 1, 100_000, "00:00:00,900"),
        srt("all.srt", 3000, 900, "00:00:00,990"),
    );
    vec![
        ("two frames, each shown for more than 5 hours", still.clone()),
        ("half a second at 60 frames, and one more after 11 hours", burst),
        ("half a second at 60 frames, and audio after 80 minutes", silence),
        ("650 texts, each shown for 11 hours", with(&still, &many, 1, "texts.mkv")),
        ("one text of 100 KB", with(&short, &line, 1, "line.mkv")),
        ("20 tracks of 3 MB of text", with(&short, &all, 20, "tracks.mkv")),
        ("an image of 72 megapixels", large),
    ]
}

/// Long files that are small, and ordinary: they play as well.
fn long(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    const LONG: [(&str, &str); 3] = [
        ("ordinary: a picture a minute for an hour", "-f lavfi -i testsrc2=s=320x180:r=1/60:d=3600"),
        (
            "ordinary: a still for an hour at one frame a second",
            "-f lavfi -i color=c=red:s=320x180:r=1:d=3600",
        ),
        (
            "ordinary: a still with an hour of audio",
            "-f lavfi -i color=c=red:s=320x180:r=1:d=1 -f lavfi -i sine=d=3600 -c:a aac -b:a 32k",
        ),
    ];
    let made = LONG.iter().enumerate().map(|(number, (name, words))| {
        let file = folder.join(format!("long{number}.mp4"));
        let words = format!("{words} -c:v libx264 -preset ultrafast");
        ffmpeg(&words.split_whitespace().collect::<Vec<_>>(), &file);
        (*name, file)
    });
    made.collect()
}

/// Every hostile file, and some that only look so.
fn corpus(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let bait = Bait::lay(folder);
    let mut made = texts(&bait);
    made.extend(external_references(&bait, folder));
    made.push(("mov with a compressed index", compressed_index()));
    let place = |(number, (name, bytes)): (usize, (&'static str, Vec<u8>))| {
        let file = folder.join(format!("upload{number}.mp4"));
        std::fs::write(&file, bytes).unwrap();
        (name, file)
    };
    made.into_iter().enumerate().map(place).chain(bombs(folder)).chain(long(folder)).collect()
}

/// Compares the part of `SECURITY.md` that is named so, by what `same` takes of it, or writes it.
fn compare(part: &str, table: &str, same: fn(&str) -> String) {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file =
        folders.find_map(|folder| Some(folder.join("SECURITY.md")).filter(|file| file.is_file())).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (
        format!("<!-- begin: {part}, made by the test `figures` -->\n\n"),
        format!("\n<!-- end: {part} -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, [before, &begin, table, &end, after].concat()).unwrap();
        return;
    }
    assert_eq!(same(found), same(table), "{part} in SECURITY.md: renew it with UPDATE_DOCS=1");
}

#[test]
fn the_task_stays_small_whatever_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from(
        "| file | bytes | ends as | peak of the task, MiB | CPU, s | files | bytes written |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (number, (name, input)) in corpus(folder.path()).into_iter().enumerate() {
        let size = input.metadata().unwrap().len();
        let took = measure(&input, &folder.path().join(format!("out{number}")));
        let Figures { code, peak_mib, cpu_seconds, files, bytes } = &took;
        let _ = writeln!(
            table,
            "| {name} | {size} | {code} | {peak_mib} | {cpu_seconds:.0} | {files} | {bytes} |"
        );
        assert!(*peak_mib > 0 && *peak_mib <= PEAK_MIB, "{name}: {peak_mib} MiB");
        assert!(*cpu_seconds <= CPU_SECONDS, "{name}: {cpu_seconds} s");
        assert!(*bytes <= BYTES && *files <= FILES, "{name}: {bytes} bytes in {files} files");
        assert!(code == "plays" || *files == 0, "{name}: {files} files are left");
    }
    // What a file ends as is the same everywhere.
    compare("hostile files", &table, |table| {
        let cells = table.lines().map(|line| line.split(" | ").collect::<Vec<_>>());
        let told = cells.filter(|cells| cells.len() > 2).map(|cells| [cells[0], cells[2]].join(" "));
        told.collect::<Vec<_>>().join("\n")
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_allowed_system_calls_are_those_that_security_md_says() {
    compare("system calls", &transcode_media::sandbox::allowed_calls(), str::to_owned);
}
