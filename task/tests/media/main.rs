//! The media core on real media: a package as players see it, and inputs that must work or fail by name.

mod package;
mod refusals;
mod support;
