//! Link to the log of a task.

use transcode_config::settings::ClusterSettings;

/// Names of the log group and streams that the `awslogs` driver writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStreams {
    /// `awslogs-group`.
    pub group: String,
    /// `awslogs-stream-prefix` and the container's name. The stream of a task is `<prefix>/<container>/<task id>`.
    pub prefix: String,
}

impl LogStreams {
    /// From the settings; `None` if they name no group.
    pub fn of(cluster: &ClusterSettings) -> Option<Self> {
        let prefix = format!("{}/{}", cluster.log_stream_prefix, cluster.container);
        (!cluster.log_group.is_empty()).then(|| Self { group: cluster.log_group.clone(), prefix })
    }

    /// URL of the CloudWatch console page with the log of a task; `None` if `task_arn` is not the ARN of a task.
    pub fn link(&self, task_arn: &str) -> Option<String> {
        let parts: Vec<&str> = task_arn.splitn(6, ':').collect();
        let [_, partition, "ecs", region, _, resource] = parts[..] else { return None };
        let id = resource.strip_prefix("task/")?.rsplit('/').next()?;
        let console = match partition {
            "aws-cn" => format!("https://{region}.console.amazonaws.cn"),
            "aws-us-gov" => format!("https://{region}.console.amazonaws-us-gov.com"),
            _ => format!("https://{region}.console.aws.amazon.com"),
        };
        let (group, stream) = (in_fragment(&self.group), in_fragment(&format!("{}/{id}", self.prefix)));
        Some(format!(
            "{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{stream}"
        ))
    }
}

/// The console encodes names twice, the second time with `$` instead of `%`.
fn in_fragment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let encoded =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("$25{byte:02X}") };
    name.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_names_group_and_stream_as_the_console_wants_them() {
        let logs = LogStreams { group: "/transcode/prod/task".into(), prefix: "task/task".into() };
        assert_eq!(
            logs.link("arn:aws:ecs:eu-west-1:123456789012:task/prod/0a1b").as_deref(),
            Some(
                "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
                 $252Ftranscode$252Fprod$252Ftask/log-events/task$252Ftask$252F0a1b"
            )
        );
        assert!(
            logs.link("arn:aws-cn:ecs:cn-north-1:1:task/c/1")
                .is_some_and(|link| link.contains(".amazonaws.cn/"))
        );
        assert_eq!(logs.link("task/1"), None);
        assert_eq!(logs.link("arn:aws:s3:eu-west-1:1:task/c/1"), None);
    }
}
