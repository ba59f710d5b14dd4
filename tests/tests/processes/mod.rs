//! Real controllers and tasks on the local AWS while processes die, are suspended, compete and get bad answers. After
//! each test: no message lost, nothing done twice, no leftovers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crashes;
mod faults;
mod order;
mod output;
mod refused;
mod rivals;
mod steering;

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use transcode_tests::{Stack, controller, paths};

/// Runs one of the controller's commands.
fn run(stack: &Stack, args: &[&str]) -> Output {
    Command::new(paths::binary("transcode-controller").unwrap())
        .arg(args[0])
        .arg("--config")
        .arg(stack.plan.config())
        .args(&args[1..])
        .env_clear()
        .envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint))
        .output()
        .unwrap()
}

/// Standard output of one that must succeed.
fn said(stack: &Stack, args: &[&str]) -> String {
    let output = run(stack, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `transcode-controller audit` over logs; returns whether it found no violation, and its report.
fn audit(logs: &[PathBuf]) -> (bool, Value) {
    let program = paths::binary("transcode-controller").unwrap();
    let output = Command::new(program).args(["audit", "-o", "json"]).args(logs).output().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
}

/// The controllers' logs show no broken promise, and every message settled except `unheard` ones, whose delete took
/// effect while its answer was lost. A broken promise added to the logs is found.
async fn audited(stack: &Stack, unheard: usize) {
    const LIMIT: Duration = Duration::from_secs(30);
    let logs = stack.controller_logs();
    // The last line comes after the last message has left its queue.
    let complete = async || {
        let (content, report) = audit(&logs);
        assert!(content, "{}", report["violations"]);
        let ends = report["messages"].as_array().unwrap().iter().map(|message| message["end"].as_str());
        let settled = ends.filter(|end| matches!(end, Some("succeeded" | "dead" | "ignored"))).count();
        let open = report["messages"].as_array().unwrap().len() - settled;
        Ok((settled > 0 && open == unheard).then_some(report))
    };
    let report = stack.wait_for("every message's end is logged", LIMIT, complete).await.unwrap();
    assert_eq!((&report["totals"]["torn"], &report["totals"]["unexplained"]), (&0.into(), &0.into()));
    let jobs = ["succeeded", "dead"].iter().filter_map(|end| report["totals"][end].as_u64()).sum::<u64>();
    assert!(jobs > 0, "{}", report["totals"]);

    let doctored = stack.folder().join("doctored.json");
    let text: String = logs.iter().map(|log| std::fs::read_to_string(log).unwrap()).collect();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"register read\"")).collect();
    std::fs::write(&doctored, kept.join("\n")).unwrap();
    let (content, report) = audit(&[doctored]);
    let found = report["violations"].as_array().unwrap();
    assert!(!content && found.iter().any(|it| it["invariant"] == "S1"), "{found:?}");
}
