//! Where things lie: the checkout, its tools, the binaries of this build.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A file that `scripts/setup` brings, relative to `.tools/`.
pub fn tool(relative: &str) -> Result<PathBuf> {
    let path = checkout().join(".tools").join(relative);
    ensure!(path.exists(), "{} is not there: run scripts/setup", path.display());
    Ok(path)
}

/// The real clip that the demo and the tests transcode: 5 s, 1280×720, H.264 with AAC.
pub fn clip() -> Result<PathBuf> {
    tool("media/bigbuckbunny.mp4")
}

/// A binary of this workspace. It is looked for beside the running one, which is a test (`…/deps/`) or the demo:
/// cargo tells a package the place of its own binaries only.
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
