//! The adapters with the real SDK over HTTP: against the emulator (SQS, S3, CloudWatch), against local Fargate (ECS),
//! and, for what neither answers, against a loopback server that says what it is told to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cloudwatch;
mod ecr;
mod ecs;
mod ecs_errors;
mod hints;
mod leftovers;
mod publish;
mod run_task;
mod sqs;
mod state;
mod stub;
mod support;
