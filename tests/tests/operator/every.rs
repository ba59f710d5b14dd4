//! Every command answers from a laptop that has no way to the controller, while a controller reports.

use std::collections::BTreeSet;

use serde_json::Value;
use transcode_config::contract::JobKey;

use super::world::World;

/// Command lines that succeed, at least one for each command with its subcommands. `console` runs until Ctrl-C; `run` and
/// `healthcheck` are the controller's own.
const WELL: &str = "
list
get films/done.mp4
get {short}
explain films/long.mp4
explain {short}
watch films/done.mp4
wait films/done.mp4
events {short}
submit {video} --key new/
presign put a.mp4 --bytes 9
presign get videos/a/master.m3u8
presign upload a.mp4 --multipart 9
cancel films/long.mp4 --why x
pause --why x
drain --why x
resume
plan
plan new/video.mp4
plan {short}
profile check {own}
profile put {own} --why x
profile list
profile show own
profile delete own --why x
settings set launch.max_tasks=2 --why x
settings diff
settings show
settings reset --why x
dead-letters list
dead-letters redrive --dry-run
dead-letters discard --all --dry-run
redrive --dry-run
check-config {config}
audit {log}
dashboard print
completions fish
man plan
";

/// Those that have nothing to do here and say so, and one that also looks at this machine.
const OTHERS: [(&str, &[i32]); 4] = [
    ("logs films/done.mp4", &[0, 1]),
    ("dead-letters show nobody", &[1]),
    ("retry films/done.mp4", &[1]),
    ("doctor", &[1, 3]),
];

/// The lines with what stands for names replaced, each with the exit statuses that it may have.
fn lines(world: &World) -> Vec<(String, &'static [i32])> {
    let file = |name: &str, text: &str| {
        let path = world.stack.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let shipped = include_str!("../../../config/profiles/standard.toml");
    let own = shipped.replacen("name = \"standard\"", "name = \"own\"", 1);
    let names = [
        ("{short}", JobKey::of(&["done"]).as_str().chars().take(12).collect()),
        ("{own}", file("own.toml", &own)),
        ("{log}", file("controller.log", "")),
        ("{video}", file("video.mp4", "x")),
        ("{config}", world.stack.plan.config().display().to_string()),
    ];
    let whole = |line: &str| names.iter().fold(line.to_owned(), |line, (name, is)| line.replace(name, is));
    let well = WELL.lines().filter(|line| !line.is_empty()).map(|line| (whole(line), &[0][..]));
    well.chain(OTHERS.map(|(line, codes)| (whole(line), codes))).collect()
}

/// The names of the commands by `--help`.
fn commands(world: &World) -> BTreeSet<String> {
    let help = String::from_utf8(world.run(&["--help"]).stdout).unwrap();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
    names.filter(|name| !name.is_empty()).collect()
}

/// Runs all of them.
pub(crate) fn every_command_answers(world: &World) {
    let listed: Value = serde_json::from_slice(&world.run(&["list", "-o", "json"]).stdout).unwrap();
    assert_eq!(listed["controller"], "live", "a controller has just reported");
    let lines = lines(world);
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let tried: BTreeSet<_> = lines.iter().map(|(line, _)| first(line)).collect();
    let own = ["run", "healthcheck", "console", "help"].map(str::to_owned);
    assert_eq!(tried, commands(world).difference(&own.into()).cloned().collect());
    for (line, codes) in lines {
        let output = world.run(&line.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap();
        assert!(codes.contains(&code), "{line}: {code}: {said}");
        assert!(code == 0 || line == "doctor" || said.lines().count() == 1, "{line}: in one line: {said}");
        assert!(line == "doctor" || !world.was_dialed(), "{line} dials the controller");
    }
}
