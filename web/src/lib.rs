//! What a web team needs around the engine: uploads and playback for browsers that hold no AWS credentials.
//!
//! | module | gives |
//! |---|---|
//! | [`upload`] | a signed form for one POST; multipart uploads that survive a cut line and a reload; [`upload::Ticket`], the identity of an upload that a browser may hold |
//! | [`playback`] | a job's playlists with addresses that expire; signed cookies and addresses of CloudFront |
//! | [`job`] | the state of an upload's job, as a page shows it |
//!
//! The command line (`presign`), the example service (`examples/upload-service`) and a team's own service use it. It
//! knows nothing of the controller: it reads and signs, and the documents in the state bucket are all it knows of a job.
//!
//! Whoever holds a signed address needs no further permission, so each one names a single object or prefix, is limited
//! in size and time, and carries no more rights than the credentials that signed it.

mod address;
mod error;
pub mod job;
pub mod playback;
pub mod upload;

pub use error::WebError;
