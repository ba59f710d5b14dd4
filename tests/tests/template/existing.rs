//! Beside buckets and a cluster that are there already: the stack changes nothing of them and says what to add.

use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, VersioningConfiguration,
};
use serde_json::{Value, json};

use super::world::World;

const OPTIONS: [(&str, &str); 5] = [
    ("ExistingSourceBucketName", "their-uploads"),
    ("ExistingProductionBucketName", "their-site"),
    ("ExistingStateBucketName", "their-records"),
    ("ExistingClusterName", "their-cluster"),
    ("UploadPrefix", "in/"),
];

impl World {
    /// The notifications of a bucket: queue, prefix and suffix of each.
    async fn notifications(&self, bucket: &str) -> Vec<(String, Vec<String>)> {
        let s3 = &self.emulator.clients.s3;
        let found = s3.get_bucket_notification_configuration().bucket(bucket).send().await.unwrap();
        let values = |one: &QueueConfiguration| {
            let rules = one.filter().and_then(|filter| filter.key()).map(S3KeyFilter::filter_rules);
            rules.unwrap_or_default().iter().filter_map(|rule| rule.value()).map(str::to_owned).collect()
        };
        let one = |one: &QueueConfiguration| (one.queue_arn().to_owned(), values(one));
        found.queue_configurations().iter().map(one).collect()
    }
}

/// Their bucket, which tells their own queue of what lies elsewhere in it.
async fn their_source(world: &World) -> String {
    let (s3, sqs) = (&world.emulator.clients.s3, &world.emulator.clients.sqs);
    sqs.create_queue().queue_name("their-thumbnails").send().await.unwrap();
    let arn = "arn:aws:sqs:us-east-1:123456789012:their-thumbnails".to_owned();
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": "sqs:SendMessage", "Resource": arn}]});
    let address = format!("{}/123456789012/their-thumbnails", world.emulator.endpoint);
    let set = sqs.set_queue_attributes().queue_url(address);
    let name = aws_sdk_sqs::types::QueueAttributeName::Policy;
    set.attributes(name, policy.to_string()).send().await.unwrap();
    let theirs = QueueConfiguration::builder().queue_arn(&arn).events(Event::S3ObjectCreated);
    let theirs = theirs.id("thumbnails").filter(prefix("images/")).build().unwrap();
    let all = NotificationConfiguration::builder().queue_configurations(theirs).build();
    let put = s3.put_bucket_notification_configuration().bucket("their-uploads");
    put.notification_configuration(all).send().await.unwrap();
    arn
}

fn prefix(value: &str) -> NotificationConfigurationFilter {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(value).build();
    NotificationConfigurationFilter::builder().key(S3KeyFilter::builder().filter_rules(rule).build()).build()
}

#[tokio::test]
async fn what_is_there_stays_as_it_is_and_the_printed_commands_add_to_it() {
    let plain = World::of("plain", &[]).await;
    let s3 = &plain.emulator.clients.s3;
    for bucket in ["their-uploads", "their-site", "their-records"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning()
        .bucket("their-uploads")
        .versioning_configuration(versions)
        .send()
        .await
        .unwrap();
    plain.ecs.create_cluster().cluster_name("their-cluster").send().await.unwrap();
    let thumbnails = their_source(&plain).await;

    let world = plain.beside("beside", &OPTIONS).await;
    let kinds: Vec<String> = world.resources().await.into_iter().map(|one| one.kind).collect();
    for kind in ["AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::ECS::Cluster"] {
        assert!(!kinds.iter().any(|one| one == kind), "{kind} was made");
    }
    let made = &world.made;
    assert_eq!(made.source_bucket, "their-uploads");
    assert_eq!(made.production_bucket, "their-site");
    assert_eq!(made.state_bucket, "their-records");
    assert_eq!(made.cluster, "their-cluster");
    let variables = world.controller_variables().await;
    for (name, value) in [
        ("TRANSCODE_SOURCES__UPLOADS__BUCKET", "their-uploads"),
        ("TRANSCODE_OUTPUT__BUCKET", "their-site"),
        ("TRANSCODE_STATE__BUCKET", "their-records"),
        ("TRANSCODE_CLUSTER__NAME", "their-cluster"),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    let before = vec![(thumbnails, vec!["images/".to_owned()])];
    assert_eq!(world.notifications("their-uploads").await, before, "the stack touched it");
    assert_eq!(world.notifications("their-records").await, [], "the stack touched it");

    // Twice: who is not sure whether it was run runs it again.
    for _ in 0..2 {
        world.shell(&made.outputs["SourceNotificationCommand"]);
        world.shell(&made.outputs["StateNotificationCommand"]);
    }
    let of = |queue: &str, filters: &[&str]| {
        (world.queue_arn(queue), filters.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    };
    let after = [before, vec![of("jobs", &["in/"])]].concat();
    assert_eq!(world.notifications("their-uploads").await, after);
    let records = [of("events", &["jobs/", "terminal.json"]), of("events", &["control/"])];
    assert_eq!(world.notifications("their-records").await, records);
    arrives(&world).await;

    let statements: Value =
        serde_json::from_str(&format!("[{}]", made.outputs["StatePolicyStatements"])).unwrap();
    let own = s3.get_bucket_policy().bucket(&plain.made.state_bucket).send().await.unwrap();
    let own = own.policy().unwrap().replace(&plain.made.state_bucket, "their-records");
    let own: Value = serde_json::from_str(&own).unwrap();
    let once = own["Statement"].as_array().unwrap().iter().filter(|one| one["Sid"] != "TlsOnly");
    assert_eq!(statements.as_array().unwrap().iter().collect::<Vec<_>>(), once.collect::<Vec<_>>());
}

/// An upload to the existing bucket is announced to this stack's queue.
async fn arrives(world: &World) {
    let (s3, sqs) = (&world.emulator.clients.s3, &world.emulator.clients.sqs);
    for key in ["elsewhere.mp4", "in/holiday.mp4"] {
        s3.put_object().bucket("their-uploads").key(key).body(b"x".to_vec().into()).send().await.unwrap();
    }
    let limit = std::time::Duration::from_secs(20);
    let keys = transcode_tests::wait::until("the upload is announced", limit, async || {
        let call = sqs.receive_message().queue_url(&world.made.jobs_queue).max_number_of_messages(10);
        let answer = call.wait_time_seconds(1).send().await?;
        let bodies = answer.messages().iter().filter_map(|one| one.body());
        let parsed = bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok());
        let keys =
            parsed.filter_map(|one| one["Records"][0]["s3"]["object"]["key"].as_str().map(str::to_owned));
        let keys: Vec<_> = keys.collect();
        Ok((!keys.is_empty()).then_some(keys))
    });
    assert_eq!(keys.await.unwrap(), ["in/holiday.mp4"]);
}
