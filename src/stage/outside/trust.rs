//! Who may say that a service is who it is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

use crate::config::fault::{Fault, KeyPath};
use crate::stage::Build;
use crate::stage::authorities::{of_file, of_system};
use crate::stage::fingerprint::Fingerprint;

/// Authorities, and what tells them from any others.
#[derive(Clone)]
pub struct Trust {
    /// The authorities.
    pub roots: Arc<RootCertStore>,
    /// The same where the authorities are.
    pub made_of: Fingerprint,
}

impl Trust {
    /// Those of a file that the table names at `at`, or this machine's where none is named: `at` is what asks for them then.
    ///
    /// # Errors
    /// A fault there.
    pub fn read(ca: Option<&Path>, at: &KeyPath, build: &mut Build<'_>) -> Result<Self, Fault> {
        let roots = match ca {
            Some(file) => of_file(file, at, build)?.0,
            None => of_system(at, build)?,
        };
        let all: Vec<_> = roots.roots.iter().map(|root| (root.subject.as_ref(), root.subject_public_key_info.as_ref())).collect();
        let made_of = Fingerprint::of(all);
        Ok(Self { roots: Arc::new(roots), made_of })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.roots.roots.len()).finish()
    }
}
