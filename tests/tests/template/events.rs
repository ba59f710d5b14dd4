//! `deploy/events.yaml`: an event goes from the bus to a topic, a queue and a webhook; to nobody else.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use transcode_tests::{paths, wait};

use super::world::{World, statements};

const LIMIT: Duration = Duration::from_secs(30);

/// The template; the emulator's webhooks are reached over plain HTTP.
fn template() -> String {
    let text = std::fs::read_to_string(paths::checkout().join("deploy/events.yaml")).unwrap();
    let plain = text.replace(r#"AllowedPattern: "(https://[^ ]+)?""#, r#"AllowedPattern: "(http://[^ ]+)?""#);
    assert_ne!(plain, text, "only https");
    plain
}

/// A webhook on loopback: its address, and the secret and the body of each call.
async fn webhook() -> (String, mpsc::UnboundedReceiver<(Option<String>, Value)>) {
    let (send, receive) = mpsc::unbounded_channel();
    let answer = async move |headers: HeaderMap, body: String| {
        let secret = headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
        send.send((secret, serde_json::from_str(&body).unwrap())).unwrap();
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/transcoded", listener.local_addr().unwrap());
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/transcoded", post(answer))).await },
    );
    (address, receive)
}

impl World {
    /// Deploys the receivers of an environment's events; the outputs by name, or what CloudFormation says against it.
    fn receivers(&self, stack: &str, parameters: &str) -> Result<BTreeMap<String, String>, String> {
        std::fs::write(self.folder.path().join("events.yaml"), template()).unwrap();
        let deploy = format!(
            "aws cloudformation deploy --stack-name {stack} --template-file events.yaml --capabilities CAPABILITY_IAM \
             --parameter-overrides Environment={} {parameters}",
            self.made.environment
        );
        self.try_shell(&deploy)?;
        let show = format!(
            "aws cloudformation describe-stacks --stack-name {stack} --query 'Stacks[0].Outputs' --output json"
        );
        let outputs: Vec<BTreeMap<String, String>> = serde_json::from_str(&self.shell(&show)).unwrap();
        Ok(outputs.into_iter().map(|one| (one["OutputKey"].clone(), one["OutputValue"].clone())).collect())
    }

    /// Sends an event as the controller does.
    fn send(&self, bus: &str, kind: &str, environment: &str) {
        let detail = json!({"environment": environment, "kind": kind}).to_string();
        let entry = json!([{"Source": "transcode-operator", "DetailType": kind, "EventBusName": bus, "Detail": detail}]);
        self.shell(&format!("aws events put-events --entries '{entry}'"));
    }
}

#[tokio::test]
async fn outcomes_of_one_environment_reach_topic_queue_and_webhook() {
    let world = World::of("events", &[("EventBusName", "video")]).await;
    let (address, mut called) = webhook().await;
    world.shell("aws events create-event-bus --name video");
    let secret = r#"aws secretsmanager create-secret --name hook --query ARN --output text --secret-string '{"key":"opens"}'"#;
    let secret = world.shell(secret);
    let parameters = format!(
        "EventBusName=video TopicEnabled=true QueueEnabled=true WebhookUrl={address} WebhookSecretArn={}",
        secret.trim()
    );
    let outputs = world.receivers("receivers", &parameters).unwrap();
    // Only the last of these is an outcome of this environment on this bus.
    world.send("default", "Transcode Job Succeeded", "events");
    world.send("video", "Transcode Job Succeeded", "other");
    world.send("video", "Transcode Job Progress", "events");
    world.send("video", "Transcode Job Dead", "events");

    let (key, event) = tokio::time::timeout(LIMIT, called.recv()).await.unwrap().unwrap();
    assert_eq!(key.as_deref(), Some("opens"), "the receiver knows who calls");
    assert_eq!(event["source"], "transcode-operator");
    let expected = json!({"environment": "events", "kind": "Transcode Job Dead"});
    assert_eq!(event["detail"], expected);
    let sqs = &world.emulator.clients.sqs;
    let queued = wait::until("the event is in the queue", LIMIT, async || {
        let call = sqs.receive_message().queue_url(&outputs["QueueUrl"]).max_number_of_messages(10);
        let answer = call.wait_time_seconds(1).send().await?;
        let bodies: Vec<_> =
            answer.messages().iter().filter_map(|one| one.body()).map(str::to_owned).collect();
        Ok((!bodies.is_empty()).then_some(bodies))
    });
    let [body] = &queued.await.unwrap()[..] else { panic!("one event") };
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["detail"], expected);
    assert!(called.try_recv().is_err(), "one call");
    what_fails_is_kept(&world, &outputs);
    who_may_send(&world, &outputs).await;
}

/// Each target has tries and a place for what could not be delivered.
fn what_fails_is_kept(world: &World, outputs: &BTreeMap<String, String>) {
    let targets = world
        .shell("aws events list-targets-by-rule --rule events-transcode-outcomes --event-bus-name video");
    let targets: Value = serde_json::from_str(&targets).unwrap();
    let targets = targets["Targets"].as_array().unwrap();
    let ids: Vec<_> = targets.iter().map(|one| one["Id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["topic", "queue", "webhook"]);
    for target in targets {
        assert_eq!(target["DeadLetterConfig"]["Arn"], world.queue_arn("outcomes-undelivered"), "{target}");
        assert_eq!(target["RetryPolicy"]["MaximumRetryAttempts"], 185, "{target}");
    }
    assert_eq!(targets[0]["Arn"], outputs["TopicArn"]);
}

/// Only this rule fills the queues and the topic.
async fn who_may_send(world: &World, outputs: &BTreeMap<String, String>) {
    let rule = &outputs["RuleArn"];
    for url in [&outputs["QueueUrl"], &outputs["UndeliveredQueueUrl"]] {
        let policy: Value = serde_json::from_str(&world.queue(url).await["Policy"]).unwrap();
        let allowed: Vec<_> = statements(&policy).iter().filter(|one| one["Effect"] == "Allow").collect();
        let [only] = allowed[..] else { panic!("{url}: {policy}") };
        assert_eq!(only["Principal"]["Service"], "events.amazonaws.com");
        assert_eq!(&only["Condition"]["ArnEquals"]["aws:SourceArn"], rule);
    }
    let topic = format!("aws sns get-topic-attributes --topic-arn {} --output json", outputs["TopicArn"]);
    let topic: Value = serde_json::from_str(&world.shell(&topic)).unwrap();
    let policy: Value = serde_json::from_str(topic["Attributes"]["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(&statements(&policy)[0]["Condition"]["ArnEquals"]["aws:SourceArn"], rule);
}

#[tokio::test]
async fn receivers_that_cannot_work_are_refused() {
    let world = World::of("events", &[]).await;
    for (parameters, said) in [
        ("", "Say who receives"),
        ("WebhookUrl=http://127.0.0.1:1/x", "needs WebhookSecretArn or WebhookConnectionArn"),
    ] {
        let refused = world.receivers("refused", parameters).unwrap_err();
        assert!(refused.contains(said), "{parameters}: {refused}");
    }
    // Several stacks stand beside each other, each with what it asked for.
    let queue = world.receivers("one", "QueueEnabled=true Receiver=billing").unwrap();
    let topic = world.receivers("two", "TopicEnabled=true Receiver=chat").unwrap();
    assert!(queue["QueueUrl"].ends_with("events-transcode-billing") && !queue.contains_key("TopicArn"));
    assert!(topic["TopicArn"].ends_with("events-transcode-chat") && !topic.contains_key("QueueUrl"));
}
