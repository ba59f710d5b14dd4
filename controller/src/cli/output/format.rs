//! `-o`: one value in the form that was asked for.

use std::{
    env,
    io::{IsTerminal, Write, stdout},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use transcode_config::escape::{Place, escaped, net};

use super::{text::Text, words::say};

/// The form of a command's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// The same as YAML.
    Yaml,
    /// The keys alone, one a line.
    Name,
}

/// A result of a command. Its field names are an interface: they are added to and never renamed.
pub(in crate::cli) trait Show: Serialize {
    /// Writes it for people.
    fn people(&self, text: &mut Text);

    /// The keys of what it shows: jobs, or names.
    fn names(&self) -> Vec<String>;
}

/// Prints results.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Output {
    pub(in crate::cli) format: Format,
    colour: bool,
}

impl Output {
    /// In this form; in colour if a person looks and has not set `NO_COLOR` (<https://no-color.org>).
    pub(in crate::cli) fn new(format: Format) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: stdout().is_terminal() && !refused }
    }

    /// Prints a result.
    pub(in crate::cli) fn print(self, value: &impl Show) -> anyhow::Result<()> {
        match self.format {
            Format::Table => self.people(value),
            Format::Json => say(&(serde_json::to_string_pretty(value)? + "\n")),
            Format::Yaml => say(&yaml(value)?),
            Format::Name => names(value),
        }
    }

    /// Prints one of several results that follow each other: JSON has one on each line, YAML one in each document.
    pub(in crate::cli) fn print_next(self, value: &impl Show) -> anyhow::Result<()> {
        match self.format {
            Format::Table => self.people(value),
            Format::Json => say(&(serde_json::to_string(value)? + "\n")),
            Format::Yaml => say(&format!("---\n{}", yaml(value)?)),
            Format::Name => names(value),
        }
    }

    /// Whether a person looks at a screen that can be redrawn.
    pub(in crate::cli) fn is_screen(self) -> bool {
        self.format == Format::Table && stdout().is_terminal()
    }

    /// Prints a result in place of the one before, on a terminal; elsewhere below it.
    pub(in crate::cli) fn redraw(self, value: &impl Show) -> anyhow::Result<()> {
        if self.is_screen() {
            // Home, and erase to the end of the screen.
            stdout().lock().write_all(b"\x1b[H\x1b[2J").context("standard output")?;
            return self.people(value);
        }
        self.print_next(value)
    }

    fn people(self, value: &impl Show) -> anyhow::Result<()> {
        let mut text = Text::default();
        value.people(&mut text);
        // Escaped span by span: a second escape would show the colours' sequences as text.
        let mut out = stdout().lock();
        let written = out.write_all(text.finished(self.colour).as_bytes());
        written.and_then(|()| out.flush()).context("standard output")
    }
}

fn names(value: &impl Show) -> anyhow::Result<()> {
    let lines = value.names().into_iter().map(|name| escaped(&name, Place::Line).into_owned() + "\n");
    say(&lines.collect::<String>())
}

/// As YAML. Hidden characters that YAML leaves as they are cannot be escaped in an unquoted word; then the same document
/// is written as JSON, which every reader of YAML reads.
fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    let text = yaml_serde::to_string(value)?;
    if net(&text) == text { Ok(text) } else { Ok(serde_json::to_string_pretty(value)? + "\n") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_was_put_in_is_read_back_from_yaml_whatever_it_contains() {
        for words in ["a.mp4", "on", "1e3", "~", "- a: b #", "a\u{202e}b", "\u{1b}[8m\n", "電影", "", " "] {
            let value = json!({"jobs": [{"key": words, "percent": 0.5, "step": null}]});
            let text = net(&yaml(&value).unwrap()).into_owned();
            let back: Value = yaml_serde::from_str(&text).unwrap();
            assert_eq!(back, value, "{text}");
        }
    }
}
