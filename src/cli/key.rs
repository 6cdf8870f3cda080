//! `wsgate key`: API keys, and the lines that stand for them in the file.

use std::io::{self, Read, Write};
use std::time::SystemTime;

use crate::config::units::Moment;
use crate::stage::api_key::{Id, Line, Scope, fresh, hashed, is_short};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;

/// The most of standard input that is read as a key, in bytes.
const MAX_KEY: u64 = 4096;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key of 256 random bits. It is printed once and kept nowhere; the line below it goes into `keys` of an api_key stage, or into
    /// one of its files.
    New {
        #[command(flatten)]
        of: Of,
    },
    /// Read a key from standard input, and print the line that stands for it.
    Hash {
        /// What finds its hash, with --argon2: clients show `wsg_ID_SECRET`. Left out, that of the key.
        #[arg(long, value_name = "ID", requires = "argon2")]
        id: Option<Id>,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Args)]
struct Of {
    /// Whose key it is.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may be used for; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<Scope>,
    /// When it is good no more: 2027-01-31T18:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    expires: Option<Moment>,
    /// What it is for, for whoever reads the file.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Hash it by Argon2id, which takes the gateway some 25 ms for each handshake: for keys that somebody might guess.
    #[arg(long)]
    argon2: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

impl Of {
    fn line(&self, id: Option<Id>) -> Line {
        let Self { name, scope, expires, note, .. } = self;
        Line { name: name.clone(), sha256: None, argon2: None, id, scopes: scope.clone(), expires: *expires, note: note.clone() }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::New { of } => {
            let (key, line) = fresh(of.line(None), of.argon2).map_err(Failure::could)?;
            print(Some(&key), &line, of.json)?;
            warn_of_end(of);
        }
        What::Hash { id, of } => {
            let key = read()?;
            print(None, &hashed(&key, of.line(id.clone()), of.argon2).map_err(Failure::could)?, of.json)?;
            warn_of_end(of);
            if !of.argon2 && is_short(&key) {
                super::say("wsgate: a key this short can be guessed by whoever reads its SHA-256; hash it by --argon2");
            }
        }
    }
    Ok(())
}

fn warn_of_end(of: &Of) {
    if let Some(over) = of.expires.filter(|expires| expires.get() <= SystemTime::now()) {
        super::say(&format!("wsgate: this key is good for nothing: {over} is over"));
    }
}

fn print(key: Option<&str>, line: &Line, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return super::print_json(&json!({ "key": key, "line": line.to_string() }));
    }
    let mut out = io::stdout().lock();
    if let Some(key) = key {
        writeln!(out, "{key}")?;
    }
    Ok(writeln!(out, "{line},")?)
}

/// The key on standard input, without the newline at its end.
fn read() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_KEY).read_to_string(&mut text).map_err(|_| Failure::could("the key on standard input is no text"))?;
    let key = text.trim_end_matches(['\r', '\n']);
    match key.trim() {
        "" => Err(Failure::could("there is no key on standard input")),
        trimmed if trimmed != key || key.contains('\n') => {
            Err(Failure::could("what is on standard input is not one key alone on its line"))
        }
        key => Ok(key.to_owned()),
    }
}
