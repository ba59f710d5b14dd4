//! Paths: the checkout, its tools, the binaries of this build.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A file that `scripts/setup` installs, relative to `.tools/`.
pub fn tool(relative: &str) -> Result<PathBuf> {
    let path = checkout().join(".tools").join(relative);
    ensure!(path.exists(), "{} is not there: run scripts/setup", path.display());
    Ok(path)
}

/// The real clip that the demo and the tests transcode: 5 s, 1280×720, H.264 with AAC.
pub fn clip() -> Result<PathBuf> {
    tool("media/bigbuckbunny.mp4")
}

/// Less than half a second of the real clip, 128×72, made in `folder`: the shortest real job.
pub fn tiny_clip(folder: &Path) -> Result<Vec<u8>> {
    let made = folder.join("tiny.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y", "-i"]).arg(clip()?);
    ffmpeg.args(["-t", "0.4", "-vf", "scale=128:72", "-preset", "ultrafast"]).arg(&made);
    ensure!(ffmpeg.status().context("ffmpeg")?.success(), "ffmpeg makes no short clip");
    std::fs::read(&made).with_context(|| made.display().to_string())
}

/// Writes a shell script to `folder`, to run as the task.
pub fn script(folder: &Path, text: &str) -> Result<PathBuf> {
    let path = folder.join("task.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).context("an executable script")?;
    Ok(path)
}

/// A binary of this workspace. It is found beside the running one, which is a test (`…/deps/`) or the demo: cargo gives
/// a package the paths of its own binaries only.
pub fn binary(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("the running executable's path")?;
    let folder = me.parent().context("the running executable has no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} has not been built; run `make test` or `make demo`, which build it first (or `cargo build --workspace --bins`)",
        path.display()
    );
    Ok(path)
}

/// Half a second of a test pattern, 320×180, H.264 without audio, made in `folder`: small enough for one rendition.
pub fn test_picture(folder: &Path) -> Result<PathBuf> {
    let clip = folder.join("clip.mp4");
    let args = "-v error -nostdin -f lavfi -i testsrc2=s=320x180:r=25:d=0.5 -c:v libx264 -y";
    let status = Command::new("ffmpeg").args(args.split(' ')).arg(&clip).status().context("ffmpeg")?;
    ensure!(status.success(), "ffmpeg ended with {status}");
    Ok(clip)
}

/// A path, quoted for a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("out/a-1")), "out/a-1");
        assert_eq!(quoted(Path::new("it's mine")), r"'it'\''s mine'");
    }
}
