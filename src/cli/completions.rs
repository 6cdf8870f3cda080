//! `wsgate completions`: what a shell needs to complete this command line.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Failure;

#[derive(Args)]
#[command(after_help = INSTALL)]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

const INSTALL: &str = "\
For bash: wsgate completions bash > ~/.local/share/bash-completion/completions/wsgate
For fish: wsgate completions fish > ~/.config/fish/completions/wsgate.fish
For zsh:  wsgate completions zsh > \"${fpath[1]}/_wsgate\"";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Generated as a whole: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "wsgate", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
