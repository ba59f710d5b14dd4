//! The network's side: the ECS protocol, the metadata endpoint, the control endpoint, the upstream endpoint.

pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod ecs;
pub(crate) mod metadata;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod upstream;
