//! What RunTask takes, what it echoes and what it refuses.

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    operation::run_task::builders::RunTaskFluentBuilder,
    types::{
        CapacityProviderStrategyItem, ContainerOverride, EphemeralStorage, LaunchType, PropagateTags, Tag,
        TaskOverride,
    },
};
use serde_json::json;

use crate::support::{Fixture, arn, code, container, fixture, fixture_with, variable};

/// Exception and text that the call is refused with.
async fn refusal(call: RunTaskFluentBuilder) -> (String, String) {
    let error = call.send().await.unwrap_err();
    let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (of(error.code()), of(error.message()))
}

fn tag(key: impl Into<String>) -> Tag {
    Tag::builder().key(key).value("v").build()
}

fn provider(name: &str, base: i32, weight: i32) -> CapacityProviderStrategyItem {
    CapacityProviderStrategyItem::builder().capacity_provider(name).base(base).weight(weight).build().unwrap()
}

fn sized(cpu: &str, memory: &str) -> TaskOverride {
    TaskOverride::builder().cpu(cpu).memory(memory).build()
}

fn disk(gib: i32) -> TaskOverride {
    TaskOverride::builder().ephemeral_storage(EphemeralStorage::builder().size_in_gib(gib).build()).build()
}

#[tokio::test]
async fn what_cannot_be_run_is_refused() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    fixture.script("exit 0").await;
    fixture.ecs.deregister_task_definition().task_definition("job:1").send().await.unwrap();
    let ec2 = fixture.ecs.register_task_definition().family("ec2");
    ec2.container_definitions(container("exit 0")).send().await.unwrap();
    let run = || fixture.run();
    let stranger = ContainerOverride::builder().name("stranger").build();
    let stranger = TaskOverride::builder().container_overrides(stranger).build();
    let spot = || provider("FARGATE_SPOT", 0, 1);
    let strategy = || run().set_launch_type(None);
    let cases = vec![
        (run().cluster("nowhere"), "ClusterNotFoundException", "not found"),
        (run().task_definition("nothing"), "ClientException", "not found"),
        (run().task_definition("job:7"), "ClientException", "not found"),
        (run().task_definition("job:1"), "ClientException", "inactive"),
        (run().task_definition("ec2"), "InvalidParameterException", "FARGATE"),
        (run().set_network_configuration(None), "InvalidParameterException", "Network Configuration"),
        (run().capacity_provider_strategy(spot()), "InvalidParameterException", "both a launch type"),
        (run().launch_type(LaunchType::Ec2), "InvalidParameterException", "No Container Instances"),
        (strategy(), "InvalidParameterException", "No Container Instances"),
        (
            strategy().capacity_provider_strategy(provider("mine", 0, 1)),
            "InvalidParameterException",
            "'mine' was not found",
        ),
        (
            strategy().capacity_provider_strategy(provider("FARGATE", 1, 0)),
            "InvalidParameterException",
            "weight",
        ),
        (run().platform_version("0.9"), "PlatformUnknownException", "platform version"),
        (run().overrides(sized("256", "4096")), "InvalidParameterException", "No Fargate configuration"),
        (run().overrides(sized("300", "512")), "InvalidParameterException", "No Fargate configuration"),
        (run().overrides(disk(20)), "InvalidParameterException", "ephemeralStorage"),
        (run().overrides(disk(201)), "InvalidParameterException", "ephemeralStorage"),
        (run().overrides(stranger), "InvalidParameterException", "stranger"),
    ];
    assert_refused(&fixture, cases).await;
}

async fn assert_refused(fixture: &Fixture, cases: Vec<(RunTaskFluentBuilder, &str, &str)>) {
    let count = cases.len();
    for (number, (call, code, part)) in cases.into_iter().enumerate() {
        let (found, message) = refusal(call).await;
        assert_eq!(found, code, "case {number}: {message}");
        assert!(message.contains(part), "case {number}: {message}");
    }
    let counters = fixture.counters().await;
    assert_eq!((&counters["tasks"]["launched"], &counters["calls"]["RunTask"]), (&json!(0), &json!(count)));
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    const REFUSED: &str = "InvalidParameterException";
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let run = || fixture.run();
    let cases = vec![
        (run().count(11), REFUSED, "Count"),
        (run().count(0), REFUSED, "Count"),
        (run().started_by("s".repeat(129)), REFUSED, "startedBy"),
        (run().started_by("a b"), REFUSED, "startedBy"),
        (run().client_token("t".repeat(65)), REFUSED, "clientToken"),
        (run().client_token("a b"), REFUSED, "clientToken"),
        (run().client_token("é"), REFUSED, "clientToken"),
        (run().set_tags(Some((0..51).map(|key| tag(key.to_string())).collect())), REFUSED, "50 tags"),
        (run().tags(tag("k")).tags(tag("k")), REFUSED, "Duplicate"),
        (run().tags(tag("k".repeat(129))), REFUSED, "128"),
        (run().tags(Tag::builder().key("k").value("v".repeat(257)).build()), REFUSED, "256"),
        (run().overrides(long(8193)), REFUSED, "8192"),
    ];
    assert_refused(&fixture, cases).await;
    let most = run()
        .count(10)
        .started_by("s/".repeat(64))
        .client_token("t".repeat(64))
        .set_tags(Some((0..50).map(|key| tag(key.to_string())).collect()))
        .overrides(long(8192));
    assert_eq!(most.send().await.unwrap().tasks().len(), 10);
}

/// Overrides of so many characters when written as JSON, of which not all are single bytes.
fn long(characters: usize) -> TaskOverride {
    let empty =
        json!({"containerOverrides": [{"name": "main", "environment": [{"name": "A", "value": ""}]}]});
    variable("A", &"ü".repeat(characters - empty.to_string().len()))
}

#[tokio::test]
async fn sizes_and_disk_can_be_overridden() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let overrides = TaskOverride::builder()
        .cpu("1 vCPU")
        .memory("2 GB")
        .ephemeral_storage(EphemeralStorage::builder().size_in_gib(30).build())
        .build();
    let task =
        fixture.run().overrides(overrides.clone()).group("g").send().await.unwrap().tasks.unwrap().remove(0);
    assert_eq!((task.cpu(), task.memory(), task.group()), (Some("1024"), Some("2048"), Some("g")));
    assert_eq!(task.ephemeral_storage().map(EphemeralStorage::size_in_gib), Some(30));
    let echoed = task.overrides().unwrap();
    assert_eq!((echoed.cpu(), echoed.memory()), (overrides.cpu(), overrides.memory()));
}

#[tokio::test]
async fn a_strategy_fills_its_bases_first() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let call = fixture.run().set_launch_type(None).count(3);
    let call = call.capacity_provider_strategy(provider("FARGATE", 1, 1));
    let call = call.capacity_provider_strategy(provider("FARGATE_SPOT", 0, 4));
    let answer = call.send().await.unwrap();
    let providers: Vec<_> = answer.tasks().iter().filter_map(|task| task.capacity_provider_name()).collect();
    assert_eq!(providers, ["FARGATE", "FARGATE_SPOT", "FARGATE_SPOT"]);
    assert_eq!(fixture.run().send().await.unwrap().tasks()[0].capacity_provider_name(), None);
}

#[tokio::test]
async fn tags_of_the_definition_come_along_when_asked_for() {
    let fixture = fixture().await;
    let definition = fixture.definition("job").container_definitions(container("sleep 600"));
    definition.tags(tag("team")).tags(tag("own")).send().await.unwrap();
    let own = Tag::builder().key("own").value("task's").build();
    let call = || fixture.run().tags(own.clone());
    assert_eq!(call().send().await.unwrap().tasks()[0].tags(), [own.clone()]);
    let answer = call().propagate_tags(PropagateTags::TaskDefinition).send().await.unwrap();
    assert_eq!(answer.tasks()[0].tags(), [own.clone(), tag("team")]);
}

#[tokio::test]
async fn more_tasks_than_allowed_do_not_start() {
    let fixture = fixture_with(|config| config.max_live_tasks = 2).await;
    fixture.script("sleep 600").await;
    assert_eq!(code(fixture.run().count(3).send().await), "ClientException");
    let tasks = fixture.run().count(2).send().await.unwrap();
    assert_eq!(code(fixture.run().send().await), "ClientException");
    crate::support::stop(&fixture, &arn(&tasks.tasks()[0])).await;
    assert_eq!(fixture.run().send().await.unwrap().tasks().len(), 1);
}
