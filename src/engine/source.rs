//! What a gateway is compiled from, and what keeps an edit of it from taking effect.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::runtime::Handle;

use crate::config::Document;
use crate::config::fault::{Fault, Faults, Severity};
use crate::config::world::Machine;
use crate::gateway::trial::prove;
use crate::gateway::{Catalog, Compiled, Gateway};
use crate::stage::cells::Cells;

/// What a running gateway was compiled from, to be read and compiled again.
#[derive(Clone)]
pub struct Source {
    /// The file or folder; none where its text came from elsewhere, as from standard input, and cannot be read again: then what is
    /// saved is that text, with the files that it names.
    pub path: Option<PathBuf>,
    /// What was read there.
    pub document: Arc<Document>,
    /// The kinds it may use.
    pub catalog: Catalog,
    /// What outlives a snapshot: the cells that the one in force was compiled with.
    pub cells: Arc<Cells>,
}

/// An edit that does not take effect.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Every fault with its place, one a line, or the one reason.
    pub faults: String,
    /// The text and its faults, where that is why.
    pub text: Option<Arc<(Document, Faults)>>,
    /// When it was refused.
    pub at: SystemTime,
}

/// A text to compile.
pub(super) enum Text {
    /// What stands there.
    At(PathBuf),
    /// What was read before.
    Read(Arc<Document>),
}

/// What a text came to.
pub(super) struct Made {
    pub(super) document: Arc<Document>,
    pub(super) gateway: Gateway,
    pub(super) warnings: Vec<String>,
}

impl Refused {
    /// Refused for this reason.
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { faults: why.into(), text: None, at: SystemTime::now() }
    }

    fn of(document: &Document, faults: Faults) -> Self {
        let mut refusing: Vec<&Fault> = faults.iter().filter(|fault| fault.severity != Severity::Warning).collect();
        // By their places, as `wsgate check` tells them.
        refusing.sort_by_key(|fault| {
            let (source, span) = document.locate(&fault.place);
            (source, span.start)
        });
        let told = refusing.into_iter().map(|fault| line(document, fault)).collect::<Vec<_>>().join("\n");
        Self { text: Some(Arc::new((document.clone(), faults))), ..Self::because(told) }
    }
}

impl Source {
    /// Compiles a text to take the place of a gateway, and tries its tests; also gives the files it was made from, be it or not. It
    /// runs on a thread of its own: it may take a while, and connections are accepted meanwhile.
    pub(super) async fn compile(&self, before: Arc<Gateway>, text: Text) -> (BTreeSet<PathBuf>, Result<Made, Refused>) {
        let source = self.clone();
        let compiled = blocking(move || source.compile_here(&before, text)).await;
        compiled.unwrap_or_else(|refused| (BTreeSet::new(), Err(refused)))
    }

    fn compile_here(&self, before: &Gateway, text: Text) -> (BTreeSet<PathBuf>, Result<Made, Refused>) {
        let document = match text {
            Text::At(path) => Arc::new(Document::open(&path)),
            Text::Read(document) => document,
        };
        let compiled = Gateway::compile_after(Some(before), &document, &self.catalog, &self.cells, &Machine);
        let Compiled { mut gateway, mut faults, files } = compiled;
        if gateway.as_ref().is_some_and(|gateway| !gateway.tests.is_empty()) {
            let (_, failed) = Handle::current().block_on(prove(&document, &self.catalog, &Machine));
            gateway = gateway.filter(|_| !failed.refuse());
            faults.extend(failed);
        }
        let made = match gateway {
            Some(gateway) => {
                let warnings = faults.iter().map(|warning| line(&document, warning)).collect();
                Ok(Made { document, gateway, warnings })
            }
            None => Err(Refused::of(&document, faults)),
        };
        (files, made)
    }
}

/// Does what may wait for a disk on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refused::because(format!("cannot compile the config: {error}")))
}

/// A fault or warning on one line, with its place.
fn line(document: &Document, fault: &Fault) -> String {
    let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}: {}{hint}", document.position(&fault.place), fault.message)
}
