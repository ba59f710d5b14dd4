//! The pages, as HTML that works without JavaScript. What is marked with `data-live` is fetched again while somebody
//! looks ([`super::assets`]: `console.js`).

mod confirm;
mod figures;
mod frame;
mod job;
mod jobs;
mod letters;
mod parts;
mod player;
mod time_line;
mod words;

pub(super) use self::{
    confirm::{Action, confirm},
    frame::failed,
    job::job,
    jobs::jobs,
    letters::letters,
};
