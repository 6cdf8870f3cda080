//! Credentials: where a client may bear one, how it is found there, and that it is taken out of what goes on.

mod first_message;
mod show;
mod source;
mod take;

use http::request::Parts;

use crate::config::fault::{Fault, Faults};

use super::build::Need;
use super::client::ForwardFirst;
use super::json::Field;
use super::refusal::{Refusal, TOKEN_MISSING};
use super::supposed::Shown;
use super::{Build, Client, FirstMessage, Identity};

pub use first_message::FirstMessageTable;
pub use source::Source;

/// Where a stage looks for a credential.
#[derive(Debug)]
pub(super) struct Sources {
    /// The places, in the order they are looked at.
    all: Vec<Source>,
    first: FirstMessage,
    /// Where the credential stands in a first message; none where it is all of it.
    field: Option<Field>,
    /// Whether the backend needs the first message too.
    forward: bool,
}

/// Where a handshake stands: the credential, or that it is still to come.
pub(super) enum Credential {
    /// What the request bears.
    Shown(String),
    /// The same, out of the first message.
    First(String),
    /// It is to be asked for.
    Awaited(FirstMessage),
}

impl Sources {
    /// Reads them out of a stage's table, in which they are `sources` and `first_message`.
    pub(super) fn read(all: Vec<Source>, first: Option<FirstMessageTable>, build: &mut Build<'_>, faults: &mut Faults) -> Self {
        let at = build.at().clone();
        if all.is_empty() {
            faults.push(Fault::new(at.key("sources"), "`sources` is empty: no token could be read"));
        }
        if first.is_some() && !all.contains(&Source::FirstMessage) {
            let fault = Fault::warning(at.key("first_message"), "no token is read from the first message");
            build.warnings.push(fault.hint("add \"first_message\" to `sources`"));
        }
        for (index, source) in all.iter().enumerate() {
            let at = at.key("sources").index(index);
            match source {
                Source::Cookie(_) => build.needs.push(Need::Origins(at)),
                Source::FirstMessage => build.needs.push(Need::FirstMessage(at)),
                Source::Header | Source::Field(_) | Source::Query(_) | Source::Subprotocol(_) => {}
            }
        }
        build.needs.push(Need::Once("the second time it would find no credential, and refuse everybody"));
        let first = first.unwrap_or_default();
        first.check(&at.key("first_message"), faults);
        if first.forward {
            build.needs.push(Need::Backend(at.key("first_message").key("forward")));
        }
        let asked = FirstMessage { timeout: first.timeout.get(), max: first.max.get() };
        Self { all, first: asked, field: first.field, forward: first.forward }
    }

    /// The first credential that is present; a first message comes after everything a request can bear. A bad one is never rescued by
    /// a later source. All of them are taken out of the request, whichever decides.
    ///
    /// # Errors
    /// `TOKEN_MISSING` where there is none, `TOKEN_INVALID` where what is there cannot be one.
    pub(super) fn find(&self, client: &mut Client) -> Result<Credential, Box<Refusal>> {
        if let Some(shown) = client.request.as_mut().and_then(|request| self.take(request)) {
            return shown.map(Credential::Shown);
        }
        if !self.all.contains(&Source::FirstMessage) {
            return Err(Box::new(Refusal::new(TOKEN_MISSING).at("sources")));
        }
        match &client.first_message {
            None => Ok(Credential::Awaited(self.first)),
            Some(message) => take::first_message(message, self.field.as_ref()).map(Credential::First),
        }
    }

    /// Takes every credential out of a request that another stage has passed.
    pub(super) fn withhold(&self, client: &mut Client) {
        if let Some(request) = &mut client.request {
            self.take(request);
        }
    }

    /// Takes every credential out of a request, and gives the first.
    fn take(&self, request: &mut Parts) -> Option<Result<String, Box<Refusal>>> {
        let mut found = None;
        for source in &self.all {
            let taken = source.take(request).transpose();
            found = found.or(taken);
        }
        found
    }

    /// Keeps who the client is. Where the first message has said so, and the backend needs it too, it is left for it.
    pub(super) fn prove(&self, client: &mut Client, identity: Identity, is_first: bool) {
        client.prove(identity);
        if let Some(request) = client.request.as_mut().filter(|_| is_first && self.forward) {
            request.extensions.insert(ForwardFirst);
        }
    }

    /// A credential as it stands where it is looked for first.
    pub(super) fn show(&self, credential: &str) -> Option<Shown> {
        self.all.first().map(|source| source.show(credential, self.field.as_ref()))
    }
}
