//! `wsgate schema`: the JSON Schema of the file, for editors.

use std::io::{self, Write};

use wsgate::gateway::{Catalog, schema};

use super::Failure;

pub(crate) fn run() -> Result<(), Failure> {
    let schema = serde_json::to_string_pretty(&schema(&Catalog::default())).map_err(Failure::could)?;
    writeln!(io::stdout(), "{schema}")?;
    Ok(())
}
