//! What stages have said of one connection's traffic, until it is sent or told: replies and notices, what is only reported, and what
//! was left out.

use std::sync::Arc;

use crate::stage::{Inspector, Message, Refusal, Secret, Side};

use super::own;
use super::session::{Said, Tell};

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
    /// One of each rule at most.
    left_out: Vec<LeftOut>,
    /// The last credential that the client has shown, and to which stage.
    renewal: Option<(Arc<str>, Secret)>,
}

/// What has been left out by one rule and not been told of.
#[derive(Debug)]
struct LeftOut {
    why: Box<Refusal>,
    count: u64,
    is_first: bool,
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

    /// Whether nothing waits to be told or sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many bytes wait for this side.
    pub(super) fn waiting(&self, toward: Side) -> usize {
        self.0.as_ref().map_or(0, |waiting| match toward {
            Side::Client => waiting.client.len(),
            Side::Upstream => waiting.upstream.len(),
        })
    }

    /// How many bytes of memory what waits for this side takes.
    pub(super) fn held(&self, toward: Side) -> usize {
        self.0.as_ref().map_or(0, |waiting| match toward {
            Side::Client => waiting.client.capacity(),
            Side::Upstream => waiting.upstream.capacity(),
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

    /// The client has shown this stage a credential.
    pub(super) fn renew(&mut self, stage: &Arc<str>, credential: Secret) {
        self.0.get_or_insert_default().renewal = Some((stage.clone(), credential));
    }

    /// A message, or a control frame, was left out.
    pub(super) fn leave_out(&mut self, by: &mut Inspector, why: Option<Box<Refusal>>) {
        let Some(why) = why else { return };
        let left_out = &mut self.0.get_or_insert_default().left_out;
        match left_out.iter_mut().find(|other| other.why.stage == why.stage && other.why.clause == why.clause) {
            Some(other) => other.count += 1,
            None => left_out.push(LeftOut { is_first: by.is_news(&why), why, count: 1 }),
        }
    }

    /// Tells of what is only reported, of what was left out, and of the credential that was shown; says whether one was. It is for the
    /// owner of the connection to look at, before anything that came behind it is.
    pub(super) fn tell(&mut self, tell: Tell<'_>) -> bool {
        let Some(waiting) = &mut self.0 else { return false };
        for refusal in std::mem::take(&mut waiting.reports) {
            tell(Said::WouldRefuse(&refusal));
        }
        for LeftOut { why, count, is_first } in std::mem::take(&mut waiting.left_out) {
            tell(Said::LeftOut { why: &why, count, is_first });
        }
        if let Some((stage, credential)) = waiting.renewal.take() {
            tell(Said::Renews { stage: &stage, credential: &credential });
            self.tidy();
            return true;
        }
        self.tidy();
        false
    }

    fn tidy(&mut self) {
        if self.0.as_ref().is_some_and(|waiting| waiting.is_empty()) {
            self.0 = None;
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.client.is_empty() && self.upstream.is_empty() && self.reports.is_empty() && self.left_out.is_empty() && self.renewal.is_none()
    }

    fn of(&mut self, toward: Side) -> &mut Vec<u8> {
        match toward {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }
}
