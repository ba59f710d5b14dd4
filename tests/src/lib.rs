//! The pipeline on one machine: the base of `make demo` and of the end-to-end tests.
//!
//! [`Stack::start`] starts an AWS emulator, deploys `deploy/template.yaml` on it, starts the local Fargate endpoint and
//! the controller as it ships, and provides SDK clients and helpers. No program of the pipeline has a special case for
//! this: endpoints and credentials come from the ordinary `AWS_…` variables.
//!
//! | module | purpose |
//! |---|---|
//! | [`process`] | child processes that die with the harness, with their logs |
//! | [`wait`] | the one place that polls |
//! | [`emulator`] | S3, SQS, CloudWatch, CloudFormation on loopback |
//! | [`deployment`] | the template's stack and its outputs |
//! | [`fargate`] | the local ECS endpoint and its control routes |
//! | [`images`] | images in the emulator's ECR |
//! | [`controller`] | the controller's settings file and process |
//! | [`console`] | the console of a stack |
//! | [`iam`] | the roles: sessions, policies, recorded calls |
//! | [`clients`] | SDK clients |
//! | [`stack`] | all of it together |
//! | [`pipeline`] | a test's operations on it: upload, wait, count, read records |
//! | [`aftermath`] | what must hold once a job is over, whatever happened |
//! | [`listener`] | a bus with a queue behind it, for the events of jobs |
//! | [`order`] | the documents of a controller for a task, for tests without a controller |
//! | [`proxy`] | a proxy between a process and its services |
//! | [`gate`] | holds one segment back, for packages that play early |
//! | [`s3_calls`] | the calls to S3 for one job |
//! | [`s3_faults`] | a proxy between the task and S3 with faults by rule |
//! | [`demo`] | the parts of `make demo` |
//! | [`standing`] | the parts of `make up` and `make down` |
//! | [`picture`] | the dashboard as an image |
//!
//! This folder's README lists the differences between the emulator and AWS.

pub mod aftermath;
pub mod clients;
pub mod console;
pub mod controller;
pub mod demo;
pub mod deployment;
pub mod emulator;
pub mod fargate;
pub mod gate;
pub mod iam;
pub mod images;
mod janitor;
pub mod listener;
pub mod order;
pub mod paths;
pub mod picture;
pub mod pipeline;
pub mod process;
pub mod proxy;
pub mod s3_calls;
pub mod s3_faults;
pub mod shell;
pub mod stack;
pub mod standing;
pub mod wait;

pub use stack::{Stack, StackOptions};
