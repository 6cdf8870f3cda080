//! What stages have said of one connection's traffic, until it is sent or told: replies and notices, and what is only reported.

use crate::stage::{Message, Refusal, Side};

use super::own;
use super::session::Tell;

/// Replies and notices wait, as whole frames, until no message toward their receiver is open. Bounded: while as much as `send_queue`
/// waits for a side, that side, whose messages are what is answered, is not read. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Outbox(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    client: Vec<u8>,
    upstream: Vec<u8>,
    /// One of each rule at most: an inspector reports it once.
    reports: Vec<Refusal>,
}

impl Outbox {
    /// A reply to this side.
    pub(super) fn push(&mut self, toward: Side, message: &Message<'_>) {
        own::message(toward, message, self.0.get_or_insert_default().of(toward));
    }

    /// A notice to the client; without effect where anything waits for it already, since notices repeat themselves.
    pub(super) fn notify(&mut self, text: &str) {
        if self.waiting(Side::Client) == 0 {
            self.push(Side::Client, &text.into());
        }
    }

    /// How many bytes wait for this side.
    pub(super) fn waiting(&self, toward: Side) -> usize {
        self.0.as_ref().map_or(0, |waiting| match toward {
            Side::Client => waiting.client.len(),
            Side::Upstream => waiting.upstream.len(),
        })
    }

    /// Takes what waits for this side, to send it.
    pub(super) fn take(&mut self, toward: Side) -> Vec<u8> {
        let frames = self.0.as_mut().map(|waiting| std::mem::take(waiting.of(toward))).unwrap_or_default();
        self.tidy();
        frames
    }

    /// A refusal that is only reported.
    pub(super) fn report(&mut self, refusal: Refusal) {
        self.0.get_or_insert_default().reports.push(refusal);
    }

    /// Tells of what is only reported.
    pub(super) fn tell(&mut self, tell: Tell<'_>) {
        let Some(waiting) = &mut self.0 else { return };
        for mut refusal in std::mem::take(&mut waiting.reports) {
            tell(&mut refusal);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        if self.0.as_ref().is_some_and(|waiting| waiting.client.is_empty() && waiting.upstream.is_empty() && waiting.reports.is_empty()) {
            self.0 = None;
        }
    }
}

impl Waiting {
    fn of(&mut self, toward: Side) -> &mut Vec<u8> {
        match toward {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }
}
