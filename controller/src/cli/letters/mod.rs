//! Dead letters.

mod redrive;

pub(in crate::cli) use redrive::Redrive;
