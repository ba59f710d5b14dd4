//! Asks for jobs: `submit`, and `presign` for those who have no credentials.

mod edit;
mod many;
mod one;
mod parts;
mod presign;
mod request;
mod submit;
mod upload;
mod wait;

pub(in crate::cli) use one::queue;
pub(in crate::cli) use presign::Presign;
pub(in crate::cli) use request::{Object, body, event, speaking};
pub(in crate::cli) use submit::Submit;
