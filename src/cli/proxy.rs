//! `wsgate proxy`: a gateway in front of a backend, without a file.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::config::document::Document;
use crate::config::fault::Faults;
use crate::config::units::{Address, ServerUrl};
use crate::engine::{Engine, logs};
use crate::gateway::{Catalog, Gateway};
use crate::observe::Logs;
use crate::stage::cells::Cells;
use clap::Args;

use super::{Failure, run, say};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to listen: HOST:PORT, or :PORT for this machine alone. 0.0.0.0:PORT is every address of IPv4, port 0 one that is free.
    #[arg(value_parser = listen)]
    address: Address,
    /// Where every connection goes: ws://HOST:PORT, with a path that requests are put below, if need be. Of several the one with the
    /// fewest connections.
    #[arg(value_name = "URL", required = true, num_args = 1..=MAX_URLS)]
    urls: Vec<ServerUrl>,
    /// Print the file that says the same, to begin one of your own with; start nothing.
    #[arg(long)]
    print: bool,
}

/// More servers than anybody types.
const MAX_URLS: usize = 64;

/// What it is called in its `started` line.
const NAME: &str = "wsgate proxy";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = arguments.file();
    if arguments.print {
        return Ok(write!(io::stdout(), "{file}")?);
    }
    let document = Document::parse(NAME, file, ".");
    let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
    let gateway = gateway.ok_or_else(|| Failure::could(in_words(&faults)))?;
    let logs = Logs::default();
    logs.swap(logs::open(&logs, &gateway).map_err(Failure::Could)?);
    // The first line is for people, and whatever cannot be done is the only one: lines of the log begin once all of it stands.
    let mut installed = None;
    run::serve_until_stopped(run::runtime()?, Path::new(NAME), gateway, None, &logs, |engine| {
        say(&arguments.greeting(engine));
        installed = Some(logs.install().map_err(Failure::could)?);
        Ok(())
    })
}

impl Arguments {
    /// The file this command line amounts to. Addresses and URLs hold nothing that would end a string.
    fn file(&self) -> String {
        let servers: Vec<String> = self.urls.iter().map(|url| format!("\"{url}\"")).collect();
        let mut file = String::new();
        _ = write!(
            file,
            "[gateway]\ndrain = {{ over = \"1s\" }}\n\n[listener.proxy]\naddress = \"{}\"\n\n[upstream.backend]\nservers = [{}]\n\n\
             [route.proxy]\nendpoint = \"upstream.backend\"\n\n[log.console]\nconsole = \"stderr\"\n",
            self.address,
            servers.join(", ")
        );
        file
    }

    fn greeting(&self, engine: &Engine) -> String {
        let at: Vec<String> = engine.addresses().iter().map(|(_, address)| format!("ws://{address}")).collect();
        let to: Vec<String> = self.urls.iter().map(ServerUrl::to_string).collect();
        format!("wsgate: {} leads to {}, whatever the path; Ctrl-C ends it", at.join(" and "), to.join(" or "))
    }
}

/// What is wrong with a file that nobody wrote, in one line.
fn in_words(faults: &Faults) -> String {
    let said: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    said.join("; ")
}

fn listen(text: &str) -> Result<Address, String> {
    if text.parse::<u16>().is_ok() {
        return Err(format!("write :{text}"));
    }
    match text.strip_prefix(':').map(str::parse::<u16>) {
        Some(Ok(port)) => Ok(Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
        Some(Err(_)) => Err("ports are 0 to 65535".to_owned()),
        None => text.parse(),
    }
}
