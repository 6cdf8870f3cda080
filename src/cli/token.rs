//! `wsgate token`: a token to try things out with.

use std::io::{self, Write};
use std::time::SystemTime;

use crate::config::Config;
use crate::config::reference::PartRef;
use crate::config::units::Interval;
use crate::gateway::Catalog;
use crate::stage::Configure;
use crate::stage::build::Build;
use crate::stage::cells::Cells;
use crate::stage::jwt::Jwt;
use clap::Args;
use serde_json::{Map, Value};

use super::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The jwt stage whose first secret signs it.
    #[arg(long, value_name = "jwt.NAME")]
    stage: PartRef,
    /// Whom it names.
    #[arg(long, value_name = "USER")]
    sub: String,
    /// How long it is good for.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ttl)]
    ttl: Interval,
    /// A further claim; the value is JSON where it reads as JSON, and text otherwise.
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
    #[command(flatten)]
    file: super::File,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Catalog) -> Result<(), Failure> {
    let document = super::open(&arguments.file.config)?;
    let (config, mut faults) = Config::read(&document, &catalog.kinds());
    let Some(config) = config else {
        super::show(&document, &faults);
        return Err(Failure::Faults);
    };
    let stage = &arguments.stage;
    let name = stage.name.clone().unwrap_or_default();
    if stage.kind != Jwt::KIND || !config.declares(&stage.kind, &name) {
        let names: Vec<String> = config.names(Jwt::KIND).map(|name| format!("jwt.{name}")).collect();
        let there = if names.is_empty() { "it has no jwt stage".to_owned() } else { format!("it has {}", names.join(", ")) };
        let file = arguments.file.config.display();
        return Err(Failure::could(match stage.kind.as_str() {
            Jwt::KIND => format!("{file} has no [{stage}] to sign with; {there}"),
            _ => format!("{stage} is no jwt stage, and only those sign; of {file}: {there}"),
        }));
    }
    let cells = Cells::default();
    let built = config.parts.get(&(stage.kind.clone(), name)).map(|part| {
        let mut build = Build::new(part.at(), &config.folder, &cells);
        part.read().and_then(|table| Jwt::configure(table, &mut build))
    });
    match built {
        Some(Ok(jwt)) => {
            let claims: Map<String, Value> = arguments.claim.iter().cloned().collect();
            let token = jwt.mint(&arguments.sub, arguments.ttl.get(), claims, SystemTime::now()).map_err(Failure::could)?;
            writeln!(io::stdout(), "{token}")?;
            Ok(())
        }
        Some(Err(found)) => {
            faults.extend(found);
            super::show(&document, &faults);
            Err(Failure::Faults)
        }
        None => {
            super::show(&document, &faults);
            Err(Failure::Faults)
        }
    }
}

/// A token is good for some time: there is no `"off"` as in the file.
fn ttl(text: &str) -> Result<Interval, String> {
    text.parse().map_err(|why: String| match why.split_once("; ") {
        Some((what, hint)) if hint.contains("\"off\"") => format!("{what}; write a token's as \"10m\" or \"1h\""),
        _ => why,
    })
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}
