//! Asks for jobs: `submit`, and `presign` for those who have no credentials.

mod edit;
mod presign;
mod request;
mod submit;

pub(in crate::cli) use presign::Presign;
pub(in crate::cli) use request::{Object, body};
pub(in crate::cli) use submit::Submit;
