//! The EventBridge envelope of a state change.

use serde_json::{Value, json};

use super::{
    Millis,
    names::Names,
    render::{self, TimeStyle},
    task::Task,
};

/// "ECS Task State Change" for the task as it is now. `id` is the event's own; the envelope's `version` is always
/// `"0"`, the order of changes is in `detail.version`.
pub(crate) fn state_change(names: &Names, task: &Task, id: &str, now: Millis) -> Value {
    let mut detail = render::task(task, TimeStyle::Rfc3339, false);
    if let Value::Object(fields) = &mut detail {
        fields.insert("updatedAt".to_owned(), render::time_value(now, TimeStyle::Rfc3339));
    }
    json!({
        "version": "0",
        "id": id,
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": names.account,
        // EventBridge writes whole seconds here.
        "time": render::rfc3339(now - now % 1000),
        "region": names.region,
        "resources": [task.arn],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::{Phase, Stop, example};

    #[test]
    fn the_envelope_is_eventbridges() {
        let names = Names { region: "us-east-1".to_owned(), account: "123456789012".to_owned() };
        let mut task = example();
        task.phase = Phase::Stopped;
        task.version = 6;
        task.times.created = 1_700_000_000_000;
        task.times.stopped = Some(1_700_000_001_250);
        let stop = Stop { code: "SpotInterruption".to_owned(), reason: "why".to_owned(), grace: None };
        task.stop = Some(stop);
        let event = state_change(&names, &task, "id", 1_700_000_001_250);

        let arn = "arn:aws:ecs:us-east-1:123456789012:task/c/t";
        for (field, value) in [
            ("version", json!("0")),
            ("id", json!("id")),
            ("detail-type", json!("ECS Task State Change")),
            ("source", json!("aws.ecs")),
            ("account", json!("123456789012")),
            ("region", json!("us-east-1")),
            ("time", json!("2023-11-14T22:13:21Z")),
            ("resources", json!([arn])),
        ] {
            assert_eq!(event[field], value, "{field}");
        }
        let detail = &event["detail"];
        for (field, value) in [
            ("taskArn", json!(arn)),
            ("version", json!(6)),
            ("lastStatus", json!("STOPPED")),
            ("desiredStatus", json!("STOPPED")),
            ("stopCode", json!("SpotInterruption")),
            ("stoppedReason", json!("why")),
            ("createdAt", json!("2023-11-14T22:13:20Z")),
            ("stoppedAt", json!("2023-11-14T22:13:21.25Z")),
            ("tags", Value::Null),
        ] {
            assert_eq!(detail[field], value, "{field}");
        }
    }
}
