//! The `wsgate` command: the command line with the stages that are built in.

use std::process::ExitCode;

use wsgate::cli;
use wsgate::gateway::Catalog;

fn main() -> ExitCode {
    cli::main(&Catalog::default())
}
