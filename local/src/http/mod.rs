//! The network's side: the ECS protocol, the metadata endpoint, the control endpoint.

pub(crate) mod control;
pub(crate) mod ecs;
pub(crate) mod import;
pub(crate) mod metadata;
pub(crate) mod routes;
pub(crate) mod server;
