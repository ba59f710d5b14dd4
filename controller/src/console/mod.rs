//! The page of `transcode-controller console`: a server on loopback for one person at one machine.
//!
//! ```text
//! browser ─► connections ─► guard ─► routes ─► desk ─► the command's session ─► AWS
//!                                       └────► relay ─────────────────────────► the production bucket
//! ```
//!
//! The server knows documents, not calls: it sends a [`Question`] to the [`Desk`], and the command answers with what
//! `list`, `get`, `explain`, `dead-letters list` and `plan` print as JSON. So a page shows nothing that these commands do
//! not say, and the routes are tested without AWS. The one thing that the server fetches itself are media ([`relay`]).
//!
//! Pages are made here, as HTML, and work without JavaScript; scripts only fetch the same page again, and play.

mod assets;
mod desk;
mod documents;
mod guard;
mod history;
mod markup;
mod relay;
mod server;
mod view;

pub(crate) use self::{
    desk::{Answer, Ask, Filter, Place, Question, desk},
    guard::Keys,
    server::{Options, serve},
};
