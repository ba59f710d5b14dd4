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
