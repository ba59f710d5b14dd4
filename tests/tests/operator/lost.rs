//! Who cannot reach AWS, or is nobody there, is told so once, with what to do.

use super::world::World;

/// Commands of each kind: readers, those that wait, writers, those that send.
const COMMANDS: [&str; 7] = [
    "list",
    "get films/done.mp4",
    "wait films/done.mp4 --timeout 20s",
    "pause --why x",
    "plan",
    "dead-letters list",
    "submit s3://nowhere/a.mp4 --profile x",
];

/// Variables of the environment.
type Variables = &'static [(&'static str, &'static str)];

/// What is missing; the variables of it, of which those without a value are removed; what is said, and what to do.
const LOST: [(Variables, &str, &str); 3] = [
    (&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")], "there are no AWS credentials;", "sign in"),
    (&[("AWS_REGION", "")], "no Region is named", "set AWS_REGION"),
    (
        &[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"), ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")],
        "Connection refused",
        "look at the network",
    ),
];

/// Exit status and all that was said.
fn tried(world: &World, line: &str, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = world.command(&line.split(' ').collect::<Vec<_>>());
    for (name, value) in variables {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub(crate) fn who_cannot_reach_aws_is_told_what_to_do(world: &World) {
    for (variables, what, todo) in LOST {
        for line in COMMANDS {
            let (code, _, said) = tried(world, line, variables);
            assert!(code == Some(1) && said.lines().count() == 1, "{line}: {code:?}: {said}");
            assert!(said.contains(what) && said.matches(todo).count() == 1, "{line}: {todo}: {said}");
            assert!(!said.contains("Attempted") && !said.contains("OperatorRoleArn"), "{line}: {said}");
        }
        let (code, said, _) = tried(world, "explain films/done.mp4", variables);
        assert!(code == Some(0) && said.contains(todo) && !said.contains("assume the operator"), "{said}");
        // Without an identity nothing else is examined; without S3 the lines that need it say why.
        let (code, said, _) = tried(world, "doctor", variables);
        assert!(code != Some(0) && !said.contains("give whoever runs doctor s3:"), "{said}");
    }
    // `explain` has asked for a controller on this machine.
    while world.was_dialed() {}
}
