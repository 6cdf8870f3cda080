//! `wsgate schema`: the JSON Schema of the file, for editors.

use crate::gateway::{Catalog, schema};

use super::Failure;

pub(crate) fn run(catalog: &Catalog) -> Result<(), Failure> {
    super::print_json(&schema(catalog))
}
