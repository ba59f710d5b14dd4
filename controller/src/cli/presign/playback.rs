//! `presign playback`: a private package for viewers, for a limited time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use transcode_web::{
    WebError,
    job::Job,
    playback::{CloudFront, Cookies, Tree},
};

use super::{
    file::{MAX_SECONDS, lasting},
    upload::Done,
};
use crate::cli::{
    find::{Heard, Which, named_jobs},
    output::{Show, Text, say},
    setup::Session,
};

/// Largest private key that is read, in bytes.
const MAX_KEY: usize = 16 << 10;

/// The index of the storyboard, in an attempt's folder.
const STORYBOARD: &str = "images/storyboard.vtt";

/// The job to play: by its key, or the newest of an object. With CloudFront: cookies for everything below its stable
/// prefix. Without: its HLS playlists with signed addresses of S3, as files, or one of them.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Playback {
    #[command(flatten)]
    which: Which,
    /// Valid for this long: at most a week. Addresses of S3 that are signed with a role's credentials end with those at
    /// the latest.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires: u64,
    /// Write the playlists into this folder, from `master.m3u8` on. Players open it through any web server.
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["playlist", "cloudfront_domain"])]
    to: Option<PathBuf>,
    /// Print one playlist: `master.m3u8`, or as it refers to another one.
    #[arg(long, value_name = "PATH", conflicts_with = "to")]
    playlist: Option<String>,
    /// Print cookies for this domain of CloudFront, or of its alias, without a scheme.
    #[arg(long, value_name = "DOMAIN", conflicts_with_all = ["to", "playlist"], requires = "key_pair_id")]
    cloudfront_domain: Option<String>,
    /// Id of the public key in CloudFront.
    #[arg(long, value_name = "ID", requires = "cloudfront_domain")]
    key_pair_id: Option<String>,
    /// File with the private key, RSA of 2048 bits in PEM. It is read and never stored.
    #[arg(long, value_name = "FILE", requires = "cloudfront_domain")]
    private_key: Option<PathBuf>,
    /// The private key itself, if no file is named.
    #[arg(
        long,
        value_name = "PEM",
        env = "TRANSCODE_CLOUDFRONT_PRIVATE_KEY",
        hide_env_values = true,
        hide = true
    )]
    private_key_pem: Option<String>,
}

impl Playback {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let expires_in = lasting(self.expires, MAX_SECONDS)?;
        let s3 = &session.clients.s3.read;
        let found = named_jobs(session, &self.which, &Heard::read(session).await).await?;
        let key = self.which.newest(&found)?;
        let job = Job::read(s3, &session.settings.state.bucket, &key).await?;
        let job = job.with_context(|| format!("job {key} is not accepted yet: nothing to play"))?;
        if let (Some(domain), Some(id)) = (&self.cloudfront_domain, &self.key_pair_id) {
            let cloudfront = CloudFront::new(domain, id, &self.private_key()?)?;
            let prefix = &job.spec.output.prefix;
            let cookies = cloudfront.cookies(prefix, SystemTime::now() + expires_in)?;
            let address = cloudfront.address(&format!("{prefix}master.m3u8"));
            return session.output.print(&Opened { address, cookies });
        }
        let (attempt, master) = job
            .playable()
            .with_context(|| format!("job {key} has nothing to play yet; `explain` says where it stands"))?;
        let tree = Tree::of(s3, &job.spec, attempt, expires_in)?;
        if let Some(path) = &self.playlist {
            return say(&tree.playlist(path).await?);
        }
        let to = self.to.as_deref().context("--to FOLDER")?;
        for (path, text) in tree.playlists(&master).await? {
            write(&to.join(path), &text)?;
        }
        let index = tree.in_folder(STORYBOARD);
        match tree.storyboard(&index).await {
            Ok(text) => write(&to.join(index), &text)?,
            // Audio alone has none, and a job that is not done has none yet.
            Err(WebError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        session.output.print(&Done(to.join(master).display().to_string()))
    }

    fn private_key(&self) -> anyhow::Result<Vec<u8>> {
        let file = match (&self.private_key, &self.private_key_pem) {
            (Some(file), _) => file,
            (None, Some(pem)) => return Ok(pem.clone().into_bytes()),
            (None, None) => {
                anyhow::bail!("--private-key FILE, or TRANSCODE_CLOUDFRONT_PRIVATE_KEY with the key")
            }
        };
        let pem = fs::read(file).with_context(|| file.display().to_string())?;
        anyhow::ensure!(pem.len() <= MAX_KEY, "{}: too large for a key", file.display());
        Ok(pem)
    }
}

/// Writes a file of the tree. Its path was resolved: it leads nowhere but below the folder.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text)).with_context(|| path.display().to_string())
}

/// What opens a package in CloudFront.
#[derive(Debug, Serialize)]
struct Opened {
    /// The address of the master playlist.
    address: String,
    #[serde(flatten)]
    cookies: Cookies,
}

impl Show for Opened {
    fn people(&self, text: &mut Text) {
        text.line(&self.address);
        for (name, value) in &self.cookies.cookies {
            text.line(&format!("Set-Cookie: {name}={value}; Path={}; Secure; HttpOnly", self.cookies.path));
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.address.clone()]
    }
}
