//! `wsgate explain`: what a request would come to, step by step, and by which rule.

mod json;
mod text;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::config::Document;
use crate::config::fault::{KeyPath, Place};
use crate::config::reference::PartRef;
use crate::gateway::tls::shown_by_client;
use crate::gateway::trial::{Ask, Credential, Trial, line};
use crate::gateway::{Catalog, Gateway};
use crate::stage::Refusal;
use crate::stage::cells::Cells;
use crate::stage::certificate::Certificate;
use clap::Args;
use serde_json::{Map, Value};

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The path asked for, with a query or without.
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = path)]
    path: String,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    ip: IpAddr,
    /// The host asked for; left out, the listener's address.
    #[arg(long, value_name = "HOST", value_parser = one_line)]
    host: Option<String>,
    /// The listener, where more than one has a route for the request.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The page that asks, as browsers say it.
    #[arg(long, value_name = "ORIGIN", value_parser = one_line)]
    origin: Option<String>,
    /// A further header; may be given several times. One of the handshake's own takes that one's place, without a value it takes it out.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A subprotocol that is offered; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    subprotocol: Vec<String>,
    /// A token, put where the route looks for one first.
    #[arg(long, value_name = "TOKEN", value_parser = one_line, conflicts_with = "claims")]
    token: Option<String>,
    /// Claims as a JSON object: all is judged as if a token had proven them but its signature. `exp` is in an hour unless given.
    #[arg(long, value_name = "JSON", value_parser = claims)]
    claims: Option<Map<String, Value>>,
    /// A file in PEM with the certificate to show to a listener that asks for one.
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// The stage the token or the claims are for, where more than one on the way reads some: a jwt, api_key or forward_auth stage.
    #[arg(long, value_name = "KIND.NAME")]
    stage: Option<PartRef>,
    /// A text message to send once it is open; may be given several times.
    #[arg(long, value_name = "TEXT")]
    message: Vec<String>,
    /// The request of `[test.NAME]` instead of one given here.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["path", "ip", "host", "listener", "origin", "header", "subprotocol", "token", "claims", "client_cert", "stage", "message"])]
    test: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: super::File,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let (gateway, document, _) = super::compile(&arguments.file.config, catalog, &Cells::default())?;
    let ask = match &arguments.test {
        None => asked(arguments)?,
        Some(name) => match gateway.tests.get(name) {
            Some(test) => Ask::from(test),
            None => return Err(faulty(&format!("{} has no [test.{name}]{}", arguments.file.config.display(), near(&gateway, name)))),
        },
    };
    let trial = super::block_on(Trial::of(&gateway, &ask))?.map_err(|unclear| faulty(&format!("{unclear}; say --listener NAME")))?;
    let told = Told { trial: &trial, ask: &ask, document: &document, gateway: &gateway };
    let printed = if arguments.json { json::print(&told) } else { text::print(&told) };
    Ok(io::stdout().write_all(printed.as_bytes())?)
}

fn asked(arguments: &Arguments) -> Result<Ask, Failure> {
    let origin = arguments.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone()));
    let offer = Some(arguments.subprotocol.join(", ")).filter(|offer| !offer.is_empty());
    let offer = offer.map(|offer| ("Sec-WebSocket-Protocol".to_owned(), offer));
    let token = arguments.token.as_ref().map(|token| Credential::Token(token.trim().to_owned()));
    let certificate = arguments.client_cert.as_deref().map(shown).transpose()?;
    Ok(Ask {
        listener: arguments.listener.clone(),
        host: arguments.host.clone(),
        target: arguments.path.clone(),
        ip: arguments.ip,
        headers: origin.chain(offer).chain(arguments.header.iter().cloned()).collect(),
        credential: token.or_else(|| arguments.claims.clone().map(Credential::Claims)),
        stage: arguments.stage.as_ref().map(ToString::to_string),
        certificate,
        messages: arguments.message.clone(),
    })
}

/// The certificate in a file.
fn shown(file: &Path) -> Result<Certificate, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::could(format!("{}: {error}", file.display())))?;
    shown_by_client(&bytes, file, &KeyPath::default()).map_err(|fault| Failure::could(fault.message))
}

/// The command line has a fault.
fn faulty(why: &str) -> Failure {
    super::say(&format!("wsgate: {why}"));
    Failure::Faults
}

fn near(gateway: &Gateway, name: &str) -> String {
    let near = crate::config::nearest::nearest(name, gateway.tests.keys().map(String::as_str));
    near.map(|near| format!("; did you mean --test {near}?")).unwrap_or_default()
}

/// A trial, and what it takes to say where things stand.
struct Told<'a> {
    trial: &'a Trial,
    ask: &'a Ask,
    document: &'a Document,
    gateway: &'a Gateway,
}

impl Told<'_> {
    /// A table of the file as `file:line`; nothing for a bare kind, which has none.
    fn table(&self, name: &str) -> Option<String> {
        let (kind, name) = name.split_once('.')?;
        Some(self.position(&Place::Key(KeyPath::table(kind, name))))
    }

    /// Where what refuses stands: the line of a list, or of the file.
    fn place(&self, refusal: &Refusal) -> Option<String> {
        if let Some((file, line)) = line(refusal) {
            let file = self.document.folder().join(file);
            return Some(format!("{}:{line}", file.strip_prefix(".").unwrap_or(&file).display()));
        }
        let refused = self.trial.refused.as_ref().filter(|refused| std::ptr::eq(&raw const *refused.refusal, refusal));
        let path = refused.map_or_else(|| refusal.path(), |_| self.trial.rule())?;
        (path.steps().len() > 1).then(|| self.position(&Place::Value(path)))
    }

    fn position(&self, place: &Place) -> String {
        let position = self.document.position(place);
        position.rsplit_once(':').map_or(position.clone(), |(line, _)| line.to_owned())
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { one_line(text) } else { Err(format!("a path begins with a slash: /{text}")) }
}

/// A line of a request: what a line break would begin is another one.
fn one_line(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.contains(char::is_control) { Err("it has a control character".to_owned()) } else { Ok(text.to_owned()) }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"NAME: VALUE\"")?;
    let name: http::HeaderName = name.trim().parse().map_err(|_| format!("{:?} is not the name of a header", name.trim()))?;
    Ok((name.to_string(), one_line(value.trim())?))
}

fn claims(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))
}
