//! Who may say that a service is who it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, KeyPath};
use crate::stage::Build;
use crate::stage::authorities::{of_file, of_system};
use crate::stage::fingerprint::Fingerprint;

/// The keys of `tls`, of a table that has services asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTls {
    /// Authorities that are trusted to say who the service is, in PEM, in the place of this machine's.
    pub ca: PathBuf,
}

/// Authorities, and what tells them from any others.
#[derive(Clone)]
pub struct Trust {
    /// The authorities.
    pub roots: Arc<RootCertStore>,
    /// The same where the authorities are.
    pub made_of: Fingerprint,
}

impl Trust {
    /// Those of the table at `at`, or this machine's where it names none: `asks` is what asks for them then.
    ///
    /// # Errors
    /// A fault there.
    pub fn read(tls: Option<&ServiceTls>, at: &KeyPath, asks: &KeyPath, build: &mut Build<'_>) -> Result<Self, Fault> {
        let roots = match tls {
            Some(tls) => of_file(&tls.ca, &at.key("tls").key("ca"), build)?.0,
            None => of_system(asks, build)?,
        };
        let made_of = Fingerprint::of_authorities(&roots);
        Ok(Self { roots: Arc::new(roots), made_of })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.roots.roots.len()).finish()
    }
}
