//! Asks for jobs: `submit`.

mod edit;
mod many;
mod one;
mod parts;
mod request;
mod submit;
mod upload;
mod wait;
mod words;

pub(crate) use one::queue;
pub(crate) use request::{Object, body, event, speaking};
pub(crate) use submit::Submit;
pub(crate) use words::WordArgs;
