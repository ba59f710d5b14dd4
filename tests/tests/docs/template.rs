//! Alarms and dashboard of `deploy/template.yaml`: made from the registry of metrics.

use transcode_config::metrics::{ALARMS, Alarm, Compare, Detail, Queue, Statistic, Watched};
use transcode_controller::dashboard::{Names, body};
use transcode_tests::paths;

use crate::{REGENERATE, rewrite};

const BEGIN: &str = "  # begin: made by the test `docs`\n";
const END: &str = "  # end: made by the test `docs`\n";

/// The logical name of a queue in the template.
fn resource(queue: Queue) -> &'static str {
    match queue {
        Queue::DeadLetters => "DeadLetterQueue",
        Queue::EventsDeadLetters => "EventsDeadLetterQueue",
    }
}

fn alarm(alarm: &Alarm) -> String {
    let (namespace, metric, dimension) = match alarm.watched {
        Watched::Metric(metric) => (
            "!Ref MetricsNamespace",
            metric.info().name,
            "Name: Environment, Value: !Ref Environment".to_owned(),
        ),
        Watched::Waiting(queue) => (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            format!("Name: QueueName, Value: !GetAtt {}.QueueName", resource(queue)),
        ),
    };
    let statistic = match alarm.statistic {
        Statistic::Sum => "Sum",
        Statistic::Maximum => "Maximum",
        Statistic::Minimum => "Minimum",
    };
    let compare = match alarm.compare {
        Compare::AtLeast => "GreaterThanOrEqualToThreshold",
        Compare::Below => "LessThanThreshold",
    };
    let threshold =
        alarm.parameter.map_or_else(|| alarm.threshold.to_string(), |name| format!("!Ref {name}"));
    let condition = if alarm.is_fed_by(Detail::Basic) { "" } else { "    Condition: FullMetrics\n" };
    let missing = if alarm.missing_is_bad { "breaching" } else { "notBreaching" };
    format!(
        "  {name}Alarm:
    Type: AWS::CloudWatch::Alarm
{condition}    Properties:
      AlarmName: !Sub ${{Environment}}-transcode-{name}
      AlarmDescription: !Sub {description}
      Namespace: {namespace}
      MetricName: {metric}
      Dimensions: [{{ {dimension} }}]
      Statistic: {statistic}
      Period: {period}
      EvaluationPeriods: {periods}
      ComparisonOperator: {compare}
      Threshold: {threshold}
      TreatMissingData: {missing}
      AlarmActions: !If [Notify, [!Ref AlarmTopicArn], !Ref AWS::NoValue]
      OKActions: !If [Notify, [!Ref AlarmTopicArn], !Ref AWS::NoValue]
",
        name = alarm.name,
        // A JSON string is a YAML string too, whatever stands in it.
        description =
            serde_json::json!(format!("{}. What to do: ${{RunbookUrl}}#{}", alarm.meaning, alarm.anchor())),
        period = alarm.period,
        periods = alarm.periods,
    )
}

fn dashboard() -> String {
    let names = Names {
        region: "${AWS::Region}".into(),
        alarm_arn: "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:".into(),
        environment: "${Environment}".into(),
        namespace: "${MetricsNamespace}".into(),
        dead_letters: "${DeadLetterQueue.QueueName}".into(),
        events_dead_letters: "${EventsDeadLetterQueue.QueueName}".into(),
        runbook: "${RunbookUrl}".into(),
    };
    let indented = |detail| {
        let lines: Vec<String> =
            body(&names, detail).lines().map(|line| format!("          {line}\n")).collect();
        lines.concat()
    };
    let (full, basic) = (indented(Detail::Full), indented(Detail::Basic));
    format!(
        "  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties:
      DashboardName: !Sub ${{Environment}}-transcode
      DashboardBody: !If
        - FullMetrics
        - !Sub |
{full}        - !Sub |
{basic}"
    )
}

fn template() -> String {
    std::fs::read_to_string(paths::checkout().join("deploy/template.yaml")).unwrap()
}

#[test]
fn its_alarms_and_dashboard_are_the_registrys() {
    let found = template();
    let (before, rest) = found.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let alarms: Vec<String> = ALARMS.iter().map(alarm).collect();
    let made = format!("{before}{BEGIN}{}\n{}{END}{after}", alarms.join("\n"), dashboard());
    rewrite("deploy/template.yaml", &found, &made);
}

/// Grafana's dashboard, one panel a line.
#[test]
fn the_dashboard_for_grafana_is_the_registrys() {
    let mut dashboard = transcode_controller::dashboard::grafana::dashboard();
    let panels = dashboard["panels"].take();
    let panels: Vec<String> = panels.as_array().unwrap().iter().map(ToString::to_string).collect();
    let all = serde_json::to_string_pretty(&dashboard).unwrap();
    let made = all.replace("\"panels\": null", &format!("\"panels\": [\n{}\n]", panels.join(",\n"))) + "\n";
    let path = "deploy/grafana.json";
    let found = std::fs::read_to_string(paths::checkout().join(path)).unwrap_or_default();
    rewrite(path, &found, &made);
}

/// The default of a number parameter.
fn default_of(parameter: &str) -> u32 {
    let template = template();
    let (_, rest) = template.split_once(&format!("  {parameter}:\n")).unwrap();
    let line = rest.lines().find(|line| line.trim().starts_with("Default: ")).unwrap();
    line.trim().trim_start_matches("Default: ").parse().unwrap()
}

#[test]
fn thresholds_that_are_parameters_have_the_tables_value_as_default() {
    let parameters = ALARMS.iter().filter_map(|alarm| Some((alarm.parameter?, alarm.threshold)));
    for (parameter, threshold) in parameters {
        assert_eq!(default_of(parameter), threshold, "{parameter}; {REGENERATE} does not write parameters");
    }
}
