//! `presign`: addresses that carry their own permission, for people and browsers without AWS credentials.

mod file;
mod playback;
mod upload;

use clap::Subcommand;

use crate::cli::setup::Session;

/// What to sign. Signing needs no call, so whether the signer has the permission shows only when an address is used.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Presign {
    /// Print the address of a PUT with a file of known size as the request's body.
    Put(file::Put),
    /// Print the address of a GET of one file. A playlist's segments are other files: see `playback`.
    Get(file::Get),
    /// Sign a form for a browser, or an upload in parts that survives a cut line.
    Upload(upload::Upload),
    /// Print cookies of CloudFront for a job's package, or write its playlists with addresses that expire.
    Playback(playback::Playback),
}

impl Presign {
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        match self {
            Self::Put(what) => what.run(session).await,
            Self::Get(what) => what.run(session).await,
            Self::Upload(what) => what.run(session).await,
            Self::Playback(what) => what.run(session).await,
        }
    }
}
