//! What events are about: who, which, and how, as far as it is told.

use crate::stage::{Client, Peer};

/// How a live connection has shown a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In a message of its own.
    Message,
    /// In a request with its ticket.
    Ticket,
}

impl Shown {
    /// Its name in the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Ticket => "ticket",
        }
    }
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The listener of this name.
    Listener(&'a str),
    /// The page of metrics of this name.
    Metrics(&'a str),
}

impl<'a> Owner<'a> {
    /// Its name, as a listener's and as a page's.
    pub(super) fn names(self) -> (Option<&'a str>, Option<&'a str>) {
        match self {
            Self::Listener(name) => (Some(name), None),
            Self::Metrics(name) => (None, Some(name)),
        }
    }
}

/// What an edit means for the connections that are open.
#[derive(Clone, Copy, Debug)]
pub struct Concerned<'a> {
    /// Not concerned.
    pub kept: usize,
    /// Judged again, and allowed.
    pub adopted: usize,
    /// Closed, now or in their turn.
    pub closed: usize,
    /// Ended by an edit before, and still waiting for their turn.
    pub leaving: usize,
    /// What closes them, with how many.
    pub causes: &'a str,
}

/// A connection as far as it was known when it was judged.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The connection's id.
    pub connection: u64,
    /// Addresses and listener.
    pub peer: &'a Peer,
    /// The route, once one was found.
    pub route: Option<&'a str>,
    /// The host asked for, once the request was read.
    pub host: Option<&'a str>,
    /// The path asked for, without query, once the request was read.
    pub path: Option<&'a str>,
    /// Who it is, once authenticated.
    pub user: Option<&'a str>,
}

impl<'a> Attempt<'a> {
    /// A connection of which nothing is known but its address.
    pub fn unread(connection: u64, peer: &'a Peer) -> Self {
        Self { connection, peer, route: None, host: None, path: None, user: None }
    }
}

impl<'a> From<&'a Client> for Attempt<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            connection: client.id,
            peer: &client.peer,
            route: Some(&client.route),
            host: Some(client.host()),
            path: Some(client.path()),
            user: user(client),
        }
    }
}

/// What a refused client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An HTTP status.
    Status(u16),
    /// A close code, after a 101.
    Code(u16),
    /// Nothing: it was gone, or its connection was dropped before it had asked.
    Nothing,
}

/// Who the client is, where a stage has said so.
pub(super) fn user(client: &Client) -> Option<&str> {
    client.user()
}
