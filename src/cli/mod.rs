//! The command line: its arguments, and what each subcommand runs on.

mod check;
mod completions;
mod connect;
mod control;
mod errors;
mod explain;
mod key;
mod proxy;
mod run;
mod schema;
mod show;
mod talk;
mod token;
mod trust;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::document::Document;
use crate::config::fault::Faults;
use crate::config::render;
use crate::config::world::Machine;
use crate::engine::control::protocol::Faulty;
use crate::gateway::{Catalog, Gateway, trial};
use crate::stage::cells::Cells;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

/// A WebSocket gateway: listeners, routes, firewalls, authentication and limits from one file.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: File,
}

const EXIT_CODES: &str =
    "Exit codes: 0 fine, 1 could not do it, 2 the file or the command line has faults, 3 `plan` would change something.";

/// The variable that names the file.
const CONFIG: &str = "WSGATE_CONFIG";

/// What standard input is called.
const STDIN: &str = "<stdin>";

/// What is read where nothing is named.
const DEFAULT: &str = "gateway.toml";

#[derive(Args)]
struct File {
    /// The file to read; a folder, whose *.toml are read as one; or `-`, standard input.
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = DEFAULT)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (what `wsgate` alone does, too).
    Run(File),
    /// Tell what is wrong with a file: every fault at once, with its place and a hint. Starts nothing.
    Check(check::Arguments),
    /// Print a file, or what a running gateway has in force, in full: every key with its value, and where that came from. Secrets are
    /// masked.
    Show(show::Arguments),
    /// Tell what a request would come to, step by step, and by which rule. Opens no socket.
    Explain(explain::Arguments),
    /// Put a gateway in front of a backend, without a file: `wsgate proxy :8080 ws://localhost:3000`.
    Proxy(proxy::Arguments),
    /// Tell how a running gateway does: what is in force since when, what was refused, its connections.
    Status(control::status::Arguments),
    /// Tell what an edit of the file would mean for every route and connection of a running gateway. Changes nothing.
    Plan(control::edit::Plan),
    /// Have a running gateway put its file in force as it is saved, all of it or nothing.
    Reload(control::edit::Reload),
    /// Have a running gateway go back to the text that was in force before. The file stays as it is.
    Rollback(control::edit::Rollback),
    /// List the connections of a running gateway.
    Ps(control::ps::Arguments),
    /// End connections of a running gateway.
    Kick(control::kick::Arguments),
    /// Print the latest events of a running gateway as JSON lines; -f goes on as they happen.
    Events(control::events::Arguments),
    /// Deny a network: adds it to a list that the file names, and closes who is on.
    Deny(control::lists::Deny),
    /// Take a network off such a list again.
    Undeny(control::lists::Undeny),
    /// Revoke a token, user, key or address: adds it to a list that the file names, and closes who is on.
    Revoke(control::lists::Revoke),
    /// Talk to a WebSocket server: type to send, end of input closes. Works in a pipe.
    Connect(connect::Arguments),
    /// Make a token signed with the secret of a jwt stage, to try things out with.
    Token(token::Arguments),
    /// Make an API key, or hash one, and print the line that stands for it in the file.
    Key(key::Arguments),
    /// Print every outcome: its id, the HTTP status or close code clients get, how it is logged.
    Errors(errors::Arguments),
    /// Print the JSON Schema of the file, for editors that complete and explain it while it is typed.
    Schema,
    /// Print what completes this command line in a shell.
    Completions(completions::Arguments),
}

/// How a command fails.
pub(crate) enum Failure {
    /// The world refused: exit code 1.
    Could(String),
    /// The file or the command line has faults, and they have been printed: exit code 2.
    Faults,
    /// A text has faults, and a running gateway has told them: exit code 2.
    Told(Faulty),
    /// It is a plan, and would change something: exit code 3.
    WouldChange,
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

/// Runs what was typed, and gives the exit code: all of the `wsgate` command, with the stages of this catalog. To a program with stages
/// of its own this is its `main`:
///
/// ```no_run
/// use std::process::ExitCode;
/// use wsgate::{cli, gateway::Catalog};
///
/// fn main() -> ExitCode {
///     cli::main(&Catalog::default()) // .with_stage::<...>()
/// }
/// ```
pub fn main(catalog: &Catalog) -> ExitCode {
    let arguments = Arguments::from_arg_matches(&typed().get_matches()).unwrap_or_else(|error| error.exit());
    let done = match arguments.command.unwrap_or(Command::Run(arguments.file)) {
        Command::Run(file) => run::run(&file.config, catalog),
        Command::Check(arguments) => check::run(&arguments, catalog),
        Command::Show(arguments) => show::run(&arguments, catalog),
        Command::Explain(arguments) => explain::run(&arguments, catalog),
        Command::Token(arguments) => token::run(&arguments, catalog),
        Command::Key(arguments) => key::run(&arguments),
        Command::Connect(arguments) => connect::run(&arguments),
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Status(arguments) => control::status::run(&arguments),
        Command::Plan(arguments) => control::edit::plan(&arguments),
        Command::Reload(arguments) => control::edit::reload(&arguments),
        Command::Rollback(arguments) => control::edit::rollback(&arguments),
        Command::Ps(arguments) => control::ps::run(&arguments),
        Command::Kick(arguments) => control::kick::run(&arguments),
        Command::Events(arguments) => control::events::run(&arguments),
        Command::Deny(arguments) => control::lists::deny(&arguments),
        Command::Undeny(arguments) => control::lists::undeny(&arguments),
        Command::Revoke(arguments) => control::lists::revoke(&arguments),
        Command::Errors(arguments) => errors::run(&arguments, catalog),
        Command::Schema => schema::run(catalog),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    match done {
        Ok(()) | Err(Failure::Seen) => ExitCode::SUCCESS,
        Err(Failure::Could(why)) => {
            say(&format!("wsgate: {why}"));
            ExitCode::from(1)
        }
        Err(Failure::Faults) => ExitCode::from(2),
        Err(Failure::Told(faulty)) => {
            say(faulty.rendered.trim_end());
            ExitCode::from(2)
        }
        Err(Failure::WouldChange) => ExitCode::from(3),
    }
}

/// The command line as it is read. A variable that is set to nothing counts as unset, as `FILE= wsgate` and service files write it.
fn typed() -> clap::Command {
    let unset = |arg: Arg| {
        let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if is_empty { arg.env(None) } else { arg }
    };
    Arguments::command().mut_args(unset).mut_subcommands(|command| command.mut_args(unset))
}

/// Prints a line for the person at the terminal; where standard error is closed there is nobody to tell.
fn say(line: &str) {
    _ = writeln!(io::stderr(), "{line}");
}

/// Prints a value as JSON.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Reads what `--config` names; a file that is not there is told in the command line's words.
fn open(path: &Path) -> Result<Document, Failure> {
    if let Some(missing) = missing(path) {
        let hint = if path == Path::new(DEFAULT) { "; name another with --config FILE" } else { "" };
        say(&format!("wsgate: {missing}{hint}"));
        return Err(Failure::Faults);
    }
    Ok(read(path))
}

/// Whether this names a file or a folder; `-` is the standard input, which gives what it has once.
fn can_be_read_again(path: &Path) -> bool {
    path != Path::new("-")
}

/// Reads a file, a folder or standard input. What is wrong with it is among its faults.
fn read(path: &Path) -> Document {
    if can_be_read_again(path) { Document::open(path) } else { Document::read(STDIN, io::stdin().lock(), ".") }
}

/// What is read where the command line names nothing.
fn named() -> PathBuf {
    std::env::var_os(CONFIG).filter(|named| !named.is_empty()).map_or_else(|| DEFAULT.into(), PathBuf::from)
}

/// What is said of a file that is not there.
fn missing(path: &Path) -> Option<String> {
    let is_missing = can_be_read_again(path) && path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let by = std::env::var_os(CONFIG).filter(|named| path == Path::new(named)).map_or("", |_| ", which WSGATE_CONFIG names");
    is_missing.then(|| format!("there is no file {}{by}", path.display()))
}

/// Reads and compiles a file. Faults are printed; what is only worth a warning is the caller's to tell.
fn compile(path: &Path, catalog: &Catalog, cells: &Cells) -> Result<(Gateway, Document, Faults), Failure> {
    let document = open(path)?;
    let (gateway, faults) = Gateway::compile(&document, catalog, cells);
    match gateway {
        Some(gateway) => Ok((gateway, document, faults)),
        None => {
            show(&document, &faults);
            Err(Failure::Faults)
        }
    }
}

/// Tries the tests of a file that has compiled with these warnings. What does not hold is a fault of the file, and all of them are
/// printed.
fn prove(document: &Document, gateway: &Gateway, catalog: &Catalog, warnings: &Faults) -> Result<(), Failure> {
    if gateway.tests.is_empty() {
        return Ok(());
    }
    let mut faults = block_on(trial::prove(document, catalog, &Machine))?.1;
    if faults.is_empty() {
        return Ok(());
    }
    faults.extend(warnings.clone());
    show(document, &faults);
    Err(Failure::Faults)
}

/// Waits for what stages that have somebody to ask answer.
fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

fn show(document: &Document, faults: &Faults) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let told = render(document, faults, color);
    if !told.is_empty() {
        say(told.trim_end());
    }
}
