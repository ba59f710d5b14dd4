//! The dead-letter queues.

mod discard;
mod filter;
mod hold;
mod letter;
mod list;
mod redrive;
mod show;

use clap::Subcommand;

use self::{discard::Discard, list::List, show::ShowLetter};
pub(crate) use self::{
    filter::Filter,
    list::{LISTED, listed},
    redrive::Redrive,
};
use crate::cli::setup::Session;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List letters, and messages that SQS itself moved; they stay where they are.
    List(List),
    /// Show one letter whole: the failure with its evidence, the attempts, what it asked for.
    Show(ShowLetter),
    /// Move letters back to their queue; each runs as a new generation of its job.
    Redrive(Redrive),
    /// Delete letters. Each is written to standard output before, one line of JSON with its body.
    Discard(Discard),
}

impl DeadLetters {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        match self {
            Self::List(what) => what.run(session).await,
            Self::Show(what) => what.run(session).await,
            Self::Redrive(what) => what.run(session).await,
            Self::Discard(what) => what.run(session).await,
        }
    }
}
