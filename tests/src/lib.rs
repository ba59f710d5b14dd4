//! The pipeline on one machine: what `make demo` and the end-to-end tests run on.
//!
//! [`Stack::start`] starts an AWS emulator, deploys `deploy/template.yaml` on it, starts the local Fargate endpoint
//! and the controller as it ships, and hands out SDK clients and helpers. Nothing of the pipeline knows that it is not
//! on AWS: endpoints and credentials reach it through the ordinary `AWS_…` variables.
//!
//! | module | what it is for |
//! |---|---|
//! | [`process`] | child processes that die with the harness, with their logs |
//! | [`wait`] | the one place that polls |
//! | [`emulator`] | S3, SQS, CloudWatch, CloudFormation on loopback |
//! | [`deployment`] | the template's stack and its outputs |
//! | [`fargate`] | the local ECS endpoint and its control routes |
//! | [`images`] | images in the emulator's ECR |
//! | [`controller`] | the controller's settings file and process |
//! | [`iam`] | the roles: sessions, policies, what was called |
//! | [`clients`] | SDK clients |
//! | [`stack`] | all of it together |
//! | [`pipeline`] | what a test asks of it: upload, wait, count, read records |
//! | [`aftermath`] | what must be true once a job is over, whatever happened |
//! | [`order`] | what a controller writes for a task, where there is none |
//! | [`proxy`] | what a test puts between a process and its services |
//! | [`s3_faults`] | what a test puts between the task and S3: faults by rule |
//! | [`demo`] | the parts of `make demo` |
//! | [`standing`] | the parts of `make up` and `make down` |
//! | [`picture`] | the dashboard as a picture |
//!
//! Where the emulator differs from AWS stands in this folder's README.

pub mod aftermath;
pub mod clients;
pub mod controller;
pub mod demo;
pub mod deployment;
pub mod emulator;
pub mod fargate;
pub mod iam;
pub mod images;
pub mod order;
pub mod paths;
pub mod picture;
pub mod pipeline;
pub mod process;
pub mod proxy;
pub mod s3_faults;
pub mod stack;
pub mod standing;
pub mod wait;

pub use stack::{Stack, StackOptions};
