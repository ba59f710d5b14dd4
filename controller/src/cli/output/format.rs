//! `-o`: one value in the form that was asked for.

use std::{
    env,
    io::{IsTerminal, Write, stdout},
};

use anyhow::Context;
use clap::ValueEnum;
use console::Term;
use serde::Serialize;
use transcode_config::escape::{Place, escaped, net};

use super::{text::Text, words::say};

/// The form of a command's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
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
pub(crate) trait Show: Serialize {
    /// Writes it for people.
    fn people(&self, text: &mut Text);

    /// The keys of what it shows: jobs, or names.
    fn names(&self) -> Vec<String>;
}

/// Prints results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    colour: bool,
}

impl Output {
    /// In this form; in colour if a person looks and has not set `NO_COLOR` (<https://no-color.org>).
    pub(crate) fn new(format: Format) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: stdout().is_terminal() && !refused }
    }

    /// Prints a result.
    pub(crate) fn print(self, value: &impl Show) -> anyhow::Result<()> {
        match self.format {
            Format::Table => self.people(value),
            Format::Json => say(&(serde_json::to_string_pretty(value)? + "\n")),
            Format::Yaml => say(&yaml(value)?),
            Format::Name => names(value),
        }
    }

    /// Prints one of several results that follow each other: JSON has one on each line, YAML one in each document.
    pub(crate) fn print_next(self, value: &impl Show) -> anyhow::Result<()> {
        match self.format {
            Format::Table => self.people(value),
            Format::Json => say(&(serde_json::to_string(value)? + "\n")),
            Format::Yaml => say(&format!("---\n{}", yaml(value)?)),
            Format::Name => names(value),
        }
    }

    /// Whether a person looks at a screen that can be redrawn.
    pub(crate) fn is_screen(self) -> bool {
        self.format == Format::Table && stdout().is_terminal()
    }

    /// Prints a result in place of the one before, on a terminal; elsewhere below it.
    pub(crate) fn redraw(self, value: &impl Show) -> anyhow::Result<()> {
        if self.is_screen() {
            // Home, and erase to the end of the screen.
            stdout().lock().write_all(b"\x1b[H\x1b[2J").context("standard output")?;
            return self.people(value);
        }
        self.print_next(value)
    }

    fn people(self, value: &impl Show) -> anyhow::Result<()> {
        let mut text = Text::within(width());
        value.people(&mut text);
        // Escaped span by span: a second escape would show the colours' sequences as text.
        let mut out = stdout().lock();
        let written = out.write_all(text.finished(self.colour).as_bytes());
        written.and_then(|()| out.flush()).context("standard output")
    }
}

/// Columns for tables: `COLUMNS` if that is set, or those of the terminal. `None`: all that there is to say.
fn width() -> Option<usize> {
    let set = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    set.or_else(|| Term::stdout().size_checked().map(|(_, columns)| usize::from(columns)))
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

/// Compares a result in its four forms with the snapshot of that name; the table is that of a terminal of 80 columns,
/// without colours. To renew it: `INSTA_UPDATE=always cargo test -p transcode-controller --lib cli`.
#[cfg(test)]
pub(crate) fn prints(name: &str, value: &impl Show) {
    let mut text = Text::within(Some(80));
    value.people(&mut text);
    let table = text.finished(false);
    let (json, yaml) = (serde_json::to_string_pretty(value).unwrap(), yaml(value).unwrap());
    let names: Vec<_> = value.names().iter().map(|name| escaped(name, Place::Line).into_owned()).collect();
    let all = format!("{table}---- json\n{json}\n---- yaml\n{yaml}---- name\n{}\n", names.join("\n"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
    insta::with_settings!({snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, net(&all));
    });
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
