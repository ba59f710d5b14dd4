//! Metrics, on the emulator, and while CloudWatch does not answer.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Datapoint, Dimension, Statistic},
};
use transcode_config::{contract::FailureCode, metrics::Detail};
use transcode_controller::{
    aws::CloudWatch,
    events::{Ending, Event, Events, Kind, Metric},
};

use crate::{
    stub::{Answer, Stub},
    support::{Account, clients, job, settings, world},
};

/// Sum and number of samples of a metric.
async fn statistics(world: &Account, name: &str, code: Option<&str>) -> (f64, f64) {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let now = SystemTime::now();
    let mut dimensions = vec![dimension("Environment", "test")];
    dimensions.extend(code.map(|code| dimension("Code", code)));
    let answer = world
        .emulator
        .clients
        .cloudwatch
        .get_metric_statistics()
        .namespace(&world.settings.metrics.namespace)
        .metric_name(name)
        .set_dimensions(Some(dimensions))
        .start_time(DateTime::from(now - Duration::from_hours(1)))
        .end_time(DateTime::from(now + Duration::from_hours(1)))
        .period(3600 * 24)
        .statistics(Statistic::Sum)
        .statistics(Statistic::SampleCount)
        .send()
        .await
        .unwrap();
    let points = answer.datapoints();
    (points.iter().filter_map(Datapoint::sum).sum(), points.iter().filter_map(Datapoint::sample_count).sum())
}

#[tokio::test]
async fn counters_gauges_and_distributions_arrive() {
    let mut world = world().await;
    world.settings.metrics.detail = Detail::Full;
    let events = Events::new();
    let ending = Ending::Dead(FailureCode::Empty);
    events.emit(Event::Settled { job: &job("x"), ending, job_ms: Some(2000) });
    events.registry().set(Metric::TasksInFlight, 3.0);
    // More different values than one datum may hold.
    for seconds in 1..=300 {
        events.registry().record_ms(Metric::QueueToRunningSeconds, seconds * 1000);
    }
    let mut sender = CloudWatch::new(world.clients.cloudwatch.clone(), &world.settings);
    sender.flush(&events).await;
    assert_eq!(statistics(&world, "JobsDead", None).await, (1.0, 1.0));
    assert_eq!(statistics(&world, "JobsDead", Some("EMPTY")).await, (1.0, 1.0));
    assert_eq!(statistics(&world, "JobSeconds", None).await, (2.0, 1.0));
    assert_eq!(statistics(&world, "TasksInFlight", None).await, (3.0, 1.0));
    assert_eq!(statistics(&world, "QueueToRunningSeconds", None).await, (45_150.0, 300.0));
    assert_eq!(statistics(&world, "Launches", None).await, (0.0, 1.0), "zero is data");
}

#[tokio::test]
async fn basic_sends_its_few_names_in_total_and_nothing_else() {
    let world = world().await;
    assert_eq!(world.settings.metrics.detail, Detail::Basic, "the default");
    let events = Events::new();
    let ending = Ending::Dead(FailureCode::Empty);
    events.emit(Event::Settled { job: &job("x"), ending, job_ms: Some(2000) });
    for metric in Metric::ALL.iter().filter(|metric| metric.info().kind == Kind::Gauge) {
        events.registry().set(*metric, 1.0);
    }
    CloudWatch::new(world.clients.cloudwatch.clone(), &world.settings).flush(&events).await;
    assert_eq!(statistics(&world, "JobsDead", None).await, (1.0, 1.0));
    let list = world.clients.cloudwatch.list_metrics().namespace(&world.settings.metrics.namespace);
    let listed = list.send().await.unwrap();
    let sent: BTreeSet<_> = listed.metrics().iter().map(|metric| metric.metric_name().unwrap()).collect();
    assert_eq!(sent, Metric::BASIC.iter().map(|metric| metric.info().name).collect());
    assert_eq!(listed.metrics().len(), sent.len(), "no parts by code");
}

#[tokio::test]
async fn what_could_not_be_sent_waits_and_then_goes_oldest_first() {
    let away = Answer::Say(500, String::new());
    let stub = Stub::start([away.clone(), away, Answer::Say(200, String::new())]).await;
    let settings = settings();
    let mut sender = CloudWatch::new(clients(&stub.endpoint, &settings).cloudwatch, &settings);
    let events = Events::new();
    sender.flush(&events).await;
    assert_eq!(stub.sent().len(), 1, "no retry inside the SDK");
    sender.flush(&events).await;
    assert_eq!(stub.sent().len(), 2, "behind the oldest nothing is tried");
    sender.flush(&events).await;
    assert_eq!(events.registry().count(Metric::MetricsDropped), 0);
    assert_eq!(stub.sent().len(), 2 + 3, "all three periods");
}

#[tokio::test]
async fn an_outage_costs_a_bounded_amount_of_memory() {
    let stub = Stub::start([Answer::Say(500, String::new())]).await;
    let settings = settings();
    let mut sender = CloudWatch::new(clients(&stub.endpoint, &settings).cloudwatch, &settings);
    let events = Events::new();
    for _ in 0..60 {
        sender.flush(&events).await;
    }
    assert_eq!(events.registry().count(Metric::MetricsDropped), 0);
    sender.flush(&events).await;
    assert_eq!(events.registry().count(Metric::MetricsDropped), 1);
}
