//! The adapters with the real SDK over HTTP: against the emulator (SQS, S3, CloudWatch), against local Fargate (ECS),
//! and, for other answers, against a loopback server with prepared answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cloudwatch;
mod control;
mod ecr;
mod ecs;
mod ecs_errors;
mod eventbridge;
mod hints;
mod index;
mod leftovers;
mod outbox;
mod publish;
mod run_task;
mod sqs;
mod state;
mod status;
mod stub;
mod support;
