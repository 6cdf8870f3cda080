//! The `wsgate` command: what was typed, and the exit code it ends with.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
