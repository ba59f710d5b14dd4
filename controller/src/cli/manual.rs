//! `completions` and `man`: generated from the command line itself.

use std::io::{Write, stdout};

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script that completes the program's command line.
    pub(super) fn run(&self, mut program: Command) -> anyhow::Result<()> {
        let (name, mut script) = (program.get_name().to_owned(), Vec::new());
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        print(&script)
    }
}

/// Which page.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The command. Default: the program itself.
    command: Option<String>,
}

impl Man {
    /// Prints the page in roff.
    pub(super) fn run(&self, mut program: Command) -> anyhow::Result<()> {
        program.build();
        let command = match &self.command {
            None => program,
            Some(name) => program
                .find_subcommand(name)
                .cloned()
                .with_context(|| format!("there is no command {name}; `man` without a name lists all"))?,
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        print(&page)
    }
}

/// Both are the program's own words.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("standard output")
}
