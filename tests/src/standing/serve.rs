//! The server: a stack in the foreground, until a signal comes.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::{answer, files::Files};
use crate::{
    Stack, StackOptions,
    console::Console,
    paths::{self, quoted},
};

/// Time between two checks of the processes.
const WATCH: Duration = Duration::from_secs(1);

/// The key with which the emulator verifies presigned URLs; it accepts any key for other requests.
const SIGNER: &str = "test";

/// Starts a stack, writes how to use it, and keeps it until SIGTERM or SIGINT. If a process of the stack ends by
/// itself, the server ends with the last lines of its log.
pub(super) async fn run(files: &Files) -> Result<()> {
    let _lock = files.hold()?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    // A listener for SIGHUP replaces the default, which would end the server with its terminal.
    let _hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    fs::create_dir_all(files.work()).context("the working folder")?;
    let keep = async {
        let mut stack = start(files).await?;
        let mut console = Console::start(&stack).await?;
        let answers = answer::open(files, describe(files, &stack, &console.entrance)?).await?;
        let watch = async {
            loop {
                stack.ensure_alive()?;
                console.ensure_running()?;
                tokio::time::sleep(WATCH).await;
            }
        };
        tokio::select! {
            result = watch => result,
            result = answers => result.context("the answer to `up`"),
        }
    };
    tokio::select! {
        result = keep => result,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn start(files: &Files) -> Result<Stack> {
    let options = StackOptions { work: Some(files.work()), ..StackOptions::for_people("local") };
    let stack = Stack::with(options).await?;
    fs::copy(stack.plan.config(), files.settings()).context("the settings file")?;
    let variables = stack.environment().iter().map(|(name, value)| match name.as_str() {
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => (name, SIGNER),
        _ => (name, value.as_str()),
    });
    let exports =
        variables.fold(String::new(), |text, (name, value)| text + &format!("export {name}='{value}'\n"));
    fs::write(files.environment(), exports).context("the environment file")?;
    Ok(stack)
}

/// The text that `up` prints.
fn describe(files: &Files, stack: &Stack, console: &str) -> Result<String> {
    let program = quoted(&paths::binary("transcode-controller")?);
    let (env, settings) = (quoted(&files.environment()), quoted(&files.settings()));
    let bucket = &stack.deployment.source_bucket;
    Ok(format!(
        "The local stack is up. It stays until `make down`.\n\
         \n  console      {console}\
         \n  environment  {env}\
         \n  settings     {settings}\
         \n  logs         {logs}\
         \n  AWS          {endpoint}\
         \n  sources      s3://{bucket}\
         \n  results      s3://{results}/{root}\n\
         \nTo try, in this shell:\n\
         \n  . {env}\
         \n  clip=.tools/media/bigbuckbunny.mp4\
         \n  curl --fail --header 'If-None-Match: *' --upload-file $clip \\\
         \n    \"$({program} presign put holiday.mp4 --bytes $(stat --format %s $clip) --config {settings})\"\
         \n  {program} get holiday.mp4 --config {settings}\
         \n  {program} doctor --config {settings}\n",
        logs = quoted(&files.work()),
        endpoint = stack.endpoint(),
        results = stack.deployment.production_bucket,
        root = stack.deployment.output_root,
    ))
}
