//! The emulator and the local Fargate, behind the controller's own adapters.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use transcode_config::contract::{Attempt, EntryPoint, JobSpec, Layout, ObjectRef, OutputTarget, Succeeded};
use transcode_controller::aws::{Bus, Clients, Ecs, Images, S3Store, Sqs};
use transcode_core::{
    effects::{apply::apply, ports::Ports},
    protocol::{
        action::Action,
        fact::Fact,
        publishing::{Answer, Step},
        task_view::TaskArn,
    },
};
use transcode_tests::{Stack, StackOptions, clients, paths, wait};

use super::{Deviation, Subject};

/// A stack without a controller, and the adapters in its place.
pub(crate) struct Services {
    stack: Stack,
    ports: Ports<Sqs, Ecs, S3Store, Bus>,
    _folder: tempfile::TempDir,
}

impl Services {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = StackOptions {
            task_program: Some(paths::script(folder.path(), "exec sleep 600").unwrap()),
            without_controller: true,
            ..StackOptions::default()
        };
        let stack = Stack::with(options.setting("calls.receive_wait_seconds", "0")).await.unwrap();
        let settings = transcode_config::load(stack.plan.config()).unwrap();
        let here = Clients::of(&clients::config(stack.endpoint()), &settings.calls, true);
        let ecs = Clients::of(&clients::config(&stack.fargate.endpoint), &settings.calls, true).ecs;
        let images = Images::new(here.ecr.clone(), &settings);
        let ports = Ports {
            queue: Sqs::new(here.sqs.clone(), &settings),
            cluster: Ecs::new(ecs, images, &settings),
            store: S3Store::new(here.s3.clone(), &settings),
            bus: Bus::new(here.eventbridge.clone()),
        };
        // What S3 sent when its notification was set.
        let jobs = &stack.deployment.jobs_queue;
        stack.clients().sqs.purge_queue().queue_url(jobs).send().await.unwrap();
        Self { stack, ports, _folder: folder }
    }
}

impl Subject for Services {
    fn queue(&self) -> String {
        "default".to_owned()
    }

    fn deviates(&self, how: Deviation) -> bool {
        matches!(how, Deviation::TwelveHours | Deviation::LapsedHandle)
    }

    fn unknown_task(&self) -> TaskArn {
        let cluster = &self.stack.deployment.cluster;
        TaskArn(format!("arn:aws:ecs:us-east-1:123456789012:task/{cluster}/{}", "0".repeat(32)).into())
    }

    fn wall(&self) -> u64 {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    fn step(&self) -> u64 {
        100
    }

    async fn post(&mut self, body: &str) {
        self.stack.send_job(body).await.unwrap();
    }

    async fn call(&mut self, action: Action) -> Vec<Fact> {
        apply(action, &self.ports).await
    }

    async fn publish(&mut self, spec: &Arc<JobSpec>, step: Step) -> Answer {
        let OutputTarget { bucket, prefix } = &spec.output;
        let folder = format!("{prefix}{}", Layout::of(&spec.job).folder(Attempt::FIRST));
        let object =
            |name: &str| ObjectRef { key: format!("{folder}{name}"), size: 1, sha256: String::new() };
        let from = object("entry/master.m3u8");
        // The scenarios' own bucket; it may be there.
        let s3 = &self.stack.clients().s3;
        let _ = s3.create_bucket().bucket(bucket).send().await;
        let put =
            s3.put_object().bucket(bucket).key(&from.key).body(spec.job.as_str().as_bytes().to_vec().into());
        put.send().await.unwrap();
        let winner = Succeeded {
            attempt: Attempt::FIRST,
            task_arn: None,
            bucket: bucket.clone(),
            manifest: object("files.json"),
            folder: folder.clone(),
            files: 1,
            bytes: 1,
            duration_ms: 1,
            warnings: None,
            source: None,
            entry_points: vec![EntryPoint { to: format!("{prefix}master.m3u8"), from }],
        };
        self.ports.store.publish_step(&spec.output, &winner, &step).await.unwrap()
    }

    async fn pass(&mut self, ms: u64) {
        // The services live by the machine's clock: that it has moved on is waited for as any other condition is.
        let over = self.wall() + ms;
        let limit = Duration::from_millis(ms) + Duration::from_mins(1);
        let reached = async || Ok((self.wall() >= over).then_some(()));
        wait::until("the services' clock moves on", limit, reached).await.unwrap();
    }

    async fn age(&mut self, hours: u64) {
        let body = serde_json::json!({"seconds": hours * 3600});
        self.stack.fargate.control.post("advance", &body).await.unwrap();
    }
}
