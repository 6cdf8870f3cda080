//! The command line: its arguments, and what each subcommand runs on.

mod check;
mod connect;
mod errors;
mod logs;
mod run;
mod schema;
mod show;
mod token;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use wsgate::config::document::Document;
use wsgate::config::fault::Faults;
use wsgate::config::render;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

/// A WebSocket gateway: listeners, routes, firewalls, authentication and limits from one file.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: File,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 could not do it, 2 the file or the command line has faults.";

/// The variable that names the file.
const CONFIG: &str = "WSGATE_CONFIG";

#[derive(Args)]
struct File {
    /// The file to read.
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = "gateway.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (what `wsgate` alone does, too).
    Run(File),
    /// Check a file: every fault at once, with its place and a hint. Starts nothing.
    Check(check::Arguments),
    /// Print a file in full: every key with its value in force, and where that came from. Secrets are masked.
    Show(show::Arguments),
    /// Make a token signed with the secret of a jwt stage, to try things out with.
    Token(token::Arguments),
    /// Talk to a WebSocket server: type to send, end of input closes. Works in a pipe.
    Connect(connect::Arguments),
    /// Print every outcome: its id, the HTTP status or close code clients get, how it is logged.
    Errors,
    /// Print the JSON Schema of the file, for editors that complete and check it while it is typed.
    Schema,
}

/// How a command fails.
pub(crate) enum Failure {
    /// The world refused: exit code 1.
    Could(String),
    /// The file or the command line has faults, and they have been printed: exit code 2.
    Faults,
    /// Whoever reads the output has seen enough: exit code 0.
    Seen,
}

impl Failure {
    fn could(error: impl std::fmt::Display) -> Self {
        Self::Could(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Seen } else { Self::could(error) }
    }
}

/// Runs what was typed.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::from_arg_matches(&typed().get_matches()).unwrap_or_else(|error| error.exit());
    let done = match arguments.command.unwrap_or(Command::Run(arguments.file)) {
        Command::Run(file) => run::run(&file.config),
        Command::Check(arguments) => check::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Connect(arguments) => connect::run(&arguments),
        Command::Errors => errors::run(),
        Command::Schema => schema::run(),
    };
    match done {
        Ok(()) | Err(Failure::Seen) => ExitCode::SUCCESS,
        Err(Failure::Could(why)) => {
            say(&format!("wsgate: {why}"));
            ExitCode::from(1)
        }
        Err(Failure::Faults) => ExitCode::from(2),
    }
}

/// The command line as it is read. A variable that is set to nothing counts as unset, as `FILE= wsgate` and service files write it.
fn typed() -> clap::Command {
    let read = Arguments::command();
    if std::env::var_os(CONFIG).is_none_or(|file| !file.is_empty()) {
        return read;
    }
    let unset = |arg: Arg| if arg.get_id() == "config" { arg.env(None) } else { arg };
    read.mut_args(unset).mut_subcommands(|command| command.mut_args(unset))
}

/// Prints a line for the person at the terminal; where standard error is closed there is nobody to tell.
fn say(line: &str) {
    _ = writeln!(io::stderr(), "{line}");
}

/// Reads a file; one that is not there is told in the command line's words.
fn open(path: &Path) -> Result<Document, Failure> {
    if path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        say(&format!("wsgate: there is no file {}; name one with --config FILE", path.display()));
        return Err(Failure::Faults);
    }
    Ok(Document::open(path))
}

/// Reads and compiles a file. Faults are printed; what is only worth a warning is the caller's to tell.
fn compile(path: &Path) -> Result<(Gateway, Document, Faults), Failure> {
    let document = open(path)?;
    let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
    match gateway {
        Some(gateway) => Ok((gateway, document, faults)),
        None => {
            show(&document, &faults);
            Err(Failure::Faults)
        }
    }
}

fn show(document: &Document, faults: &Faults) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if !faults.0.is_empty() {
        say(render(document, faults, color).trim_end());
    }
}
