//! Questions to the person at the terminal.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    thread,
};

use anyhow::{bail, ensure};
use tokio::sync::oneshot;
use transcode_config::escape::net;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1_000;

/// Returns if a person agrees, or agreed beforehand with `--yes`. Without a terminal nobody is asked and nothing waits:
/// an error says to give `--yes`.
pub(crate) async fn confirmed(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    match asked(&format!("{question} [y/N]")).await {
        Ok(answer) if agreed(&answer) => Ok(()),
        Ok(_) => bail!("nothing is changed"),
        Err(_) => bail!("nothing is changed: {question} Nobody can answer here; --yes says so beforehand"),
    }
}

/// A person's answer to a question; an error without a terminal.
pub(crate) async fn asked(question: &str) -> anyhow::Result<String> {
    ensure!(io::stdin().is_terminal(), "nobody can answer here");
    write!(io::stderr(), "{} ", net(question)).and_then(|()| io::stderr().flush()).ok();
    // A thread of its own, which ends with the program: the runtime would wait for one of its own at its end.
    let (send, answer) = oneshot::channel();
    thread::spawn(move || drop(send.send(line(io::stdin().lock()))));
    Ok(answer.await??)
}

/// The first line.
fn line(input: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    io::Read::take(input, MAX_ANSWER).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn agreed(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (text, expected) in [
            ("y\n", true),
            ("YES\n", true),
            ("", false),
            ("\n", false),
            ("no\n", false),
            ("yes, but\n", false),
        ] {
            assert_eq!(agreed(&line(text.as_bytes()).unwrap()), expected, "{text:?}");
        }
        assert!(line([0xff, b'\n'].as_slice()).is_err(), "no text");
    }
}
