//! The media core on real media: a package as players see it, and inputs that must work or fail by name.

mod package;
mod pictures;
mod refusals;
mod support;
