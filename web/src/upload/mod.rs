//! Uploads from a browser.
//!
//! | way | for | limits that S3 enforces | resumes |
//! |---|---|---|---|
//! | one PUT (`presign put`) | a file of known size | exact size and type, written once | no |
//! | [`Form`], one POST | a plain HTML form, to 5 GB | range of sizes, type, prefix of the key | no |
//! | [`Multipart`] | files to 5 TiB | exact size and checksum of each part, written once | after a cut line, a reload, a day |

mod form;
mod multipart;
mod plan;
mod ticket;
mod words;

pub use form::{Form, FormPolicy, KeyRule};
pub use multipart::{Checksums, MAX_BATCH, Multipart, PartAddress, PartRequest, StoredPart};
pub use plan::{MAX_PARTS, Part, PartPlan};
pub use ticket::{Ticket, TicketKey};
pub use words::ObjectWords;
