//! The key sets of one stage: which of them a token may be verified by, and which key.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header};

use crate::config::bare;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::HttpUrl;
use crate::stage::Build;
use crate::stage::fingerprint::Fingerprint;
use crate::stage::outside::Trust;

use super::issuer::KeySetPlace;
use super::keys::Key;
use super::set::read::read;
use super::set::{KeySet, Looked, Place};
use super::table::Table;

/// The key sets of one stage.
#[derive(Default)]
pub(super) struct Sets(Box<[Bound]>);

/// A key set, and whose tokens it is for.
pub(super) struct Bound {
    /// None where it is for those of any issuer that has none of its own.
    issuer: Option<Box<str>>,
    /// Which set it is, by where it is.
    pub(super) place: Fingerprint,
    source: Source,
}

enum Source {
    Read(Arc<[Key]>),
    Fetched(Arc<KeySet>),
}

/// What a set has for a token.
pub(super) enum Found {
    /// These keys: the token has to be signed with one of them.
    Keys(Vec<usize>),
    /// None, and it will not help to fetch the set.
    None(&'static str),
    /// None, as far as is known.
    Unknown,
}

impl Sets {
    /// Reads what a table says of key sets; every fault is added.
    pub(super) fn read(table: &Table, build: &mut Build<'_>, faults: &mut Faults) -> Self {
        let at = build.at().clone();
        let mut reading = Reading { table, at: at.clone(), trust: None, faults, all: Vec::new() };
        if let Some(place) = &table.jwks {
            reading.set(None, place, &at.key("jwks"), build);
        }
        let asks_issuers = table.secret.is_empty() && table.key.is_empty() && table.jwks.is_none();
        for (index, issuer) in table.issuer.iter().enumerate() {
            let at = at.key("issuer").index(index);
            match &issuer.jwks {
                Some(place) => reading.set(Some(&issuer.iss), place, &at.key("jwks"), build),
                None if asks_issuers => reading.discover(&issuer.iss, &at, build),
                None => {}
            }
        }
        if !reading.all.iter().any(|bound| matches!(bound.source, Source::Fetched(_))) && table.tls.is_some() && !reading.faults.refuse() {
            build.warnings.push(Fault::warning(at.key("tls"), "no key set is fetched over TLS").hint("leave it out"));
        }
        Self(reading.all.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(super) fn of_all(&self) -> usize {
        self.0.len()
    }

    /// Whether any set is one issuer's own.
    pub(super) fn has_bound(&self) -> bool {
        self.0.iter().any(|bound| bound.issuer.is_some())
    }

    /// Whether this issuer has keys of its own, which alone verify its tokens then.
    pub(super) fn are_there_for(&self, issuer: &str) -> bool {
        self.0.iter().any(|bound| bound.issuer.as_deref() == Some(issuer))
    }

    /// The sets for tokens that say they are this issuer's: its own, where it has any, and those of the table otherwise. What a token
    /// says is not believed: it picks among these, and its key is no other issuer's then.
    pub(super) fn of(&self, issuer: Option<&str>) -> impl Iterator<Item = &Bound> {
        let whose = issuer.filter(|issuer| self.are_there_for(issuer));
        self.0.iter().filter(move |bound| bound.issuer.as_deref() == whose)
    }

    /// Has those that are fetched fetched from now on.
    pub(super) fn begin(&self) {
        for bound in &self.0 {
            if let Source::Fetched(set) = &bound.source {
                set.begin();
            }
        }
    }
}

impl Bound {
    /// The keys there are, none before the first were fetched; and where the set is fetched, where to ask for more than those.
    pub(super) fn keys(&self) -> (Option<Arc<[Key]>>, Option<Looked<'_>>) {
        match &self.source {
            Source::Read(keys) => (Some(keys.clone()), None),
            Source::Fetched(set) => {
                let (keys, looked) = set.now();
                (keys, Some(looked))
            }
        }
    }
}

/// Which of these keys a token with this header may be signed with: the one it names; where it names none, the only one that fits. The
/// header's algorithm has to be one that the key is for.
pub(super) fn find(keys: &[Key], header: &Header) -> Found {
    let fits = |key: &Key| key.algorithms.contains(&header.alg);
    let Some(kid) = header.kid.as_deref() else {
        let mut fitting = keys.iter().enumerate().filter(|(_, key)| fits(key)).map(|(index, _)| index);
        return match (fitting.next(), fitting.next()) {
            (Some(only), None) => Found::Keys(vec![only]),
            (Some(_), Some(_)) => Found::None("no kid, and more than one key fits"),
            _ => Found::None("no kid, and no key fits"),
        };
    };
    let mut named = keys.iter().enumerate().filter(|(_, key)| key.kid.as_deref() == Some(kid)).peekable();
    if named.peek().is_none() {
        return Found::Unknown;
    }
    match named.filter(|(_, key)| fits(key)).map(|(index, _)| index).collect::<Vec<_>>() {
        fitting if fitting.is_empty() => Found::None("the key with this kid is not for this algorithm"),
        fitting => Found::Keys(fitting),
    }
}

/// Whether a key may verify this, by its set and by the table.
pub(super) fn may(key: &Key, algorithm: Algorithm, allowed: &[Algorithm]) -> bool {
    allowed.contains(&algorithm) && key.algorithms.contains(&algorithm)
}

struct Reading<'a> {
    table: &'a Table,
    at: KeyPath,
    trust: Option<Option<Trust>>,
    faults: &'a mut Faults,
    all: Vec<Bound>,
}

impl Reading<'_> {
    fn add(&mut self, issuer: Option<&str>, place: Fingerprint, source: Source) {
        self.all.push(Bound { issuer: issuer.map(Into::into), place, source });
    }

    fn set(&mut self, issuer: Option<&str>, place: &KeySetPlace, at: &KeyPath, build: &mut Build<'_>) {
        match place {
            KeySetPlace::File(file) => match from_file(file, &at.key("file"), build) {
                Ok(keys) => self.add(issuer, Fingerprint::of(file), Source::Read(keys)),
                Err(fault) => self.faults.push(fault),
            },
            KeySetPlace::Url(url) => self.fetched(issuer, Place::Set(url.clone()), url, at, build),
        }
    }

    /// An issuer that is asked where its keys are.
    fn discover(&mut self, issuer: &str, at: &KeyPath, build: &mut Build<'_>) {
        match issuer.parse::<HttpUrl>() {
            Ok(url) => self.fetched(Some(issuer), Place::Issuer(issuer.to_owned(), url.clone()), &url, at, build),
            Err(_) => {
                let fault = Fault::new(at.clone(), format!("{:?} is no URL, so it cannot be asked where its keys are", bare(issuer)));
                self.faults.push(fault.hint("say where they are with `jwks`, or name them with `key` or `secret`"));
            }
        }
    }

    fn fetched(&mut self, issuer: Option<&str>, place: Place, url: &HttpUrl, at: &KeyPath, build: &mut Build<'_>) {
        if !url.is_private() {
            let warning =
                Fault::warning(at.clone(), format!("what comes from {} may be anybody's: whoever sits between can send keys", url.shown()));
            build.warnings.push(warning.hint("fetch keys over https"));
        }
        let trust = if url.is_tls { self.trust(at, build) } else { None };
        if url.is_tls && trust.is_none() {
            return;
        }
        let is_at = Fingerprint::of(format!("{place:?}"));
        self.add(issuer, is_at, Source::Fetched(KeySet::of(place, trust, build)));
    }

    /// Who is trusted, read once; where there is a fault it is told once.
    fn trust(&mut self, asks: &KeyPath, build: &mut Build<'_>) -> Option<Trust> {
        if self.trust.is_none() {
            let read = Trust::read(self.table.tls.as_ref(), &self.at, asks, build);
            self.trust = Some(read.map_err(|fault| self.faults.push(fault)).ok());
        }
        self.trust.clone().flatten()
    }
}

fn from_file(file: &Path, at: &KeyPath, build: &mut Build<'_>) -> Result<Arc<[Key]>, Fault> {
    let bytes = build.read(at.clone(), file)?;
    let found = read(&bytes).map_err(|why| Fault::new(at.clone(), format!("{} is no key set: {why}", file.display())))?;
    for passed_over in found.passed_over {
        build.warnings.push(Fault::warning(at.clone(), format!("{}: {passed_over}: it is passed over", file.display())));
    }
    Ok(found.keys.into())
}
