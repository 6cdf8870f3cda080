//! Renewal: a live connection shows a newer credential than the one it was let in by, and goes on.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::pipeline::{Mode, Pipeline, Step};
use super::refusal::Refusal;
use super::traffic::Message;
use super::{BoxFuture, Client, Identity};

/// The renewing side of a stage that authenticates.
///
/// In band it is asked by a message of the client's, which its inspector answers with [`Fate::Renew`](super::Fate::Renew); out of band by
/// a request with the connection's ticket. Either way the stages that let the connection in judge it again by the new identity.
pub trait Renewal: Send + Sync {
    /// What it has proven of this client, where it has: nothing else is renewed.
    fn identity(&self, client: &Client) -> Option<Arc<Identity>>;

    /// The identity that this credential proves, under the name of the one that it is to take the place of. While whoever must be asked
    /// has not answered the connection runs on under its old deadline.
    ///
    /// # Errors
    /// Why it proves none; the connection runs on under its old deadline.
    fn renew<'a>(&'a self, client: &'a Client, credential: &'a str) -> BoxFuture<'a, Result<Identity, Box<Refusal>>>;

    /// What a client is told that has asked for it in band: how long it may go on now, where that ends, or why nothing has changed.
    fn told(&self, outcome: Result<Option<Duration>, &Refusal>) -> Option<Message<'static>>;

    /// When the end of what it has proven is to be warned of, and with which words.
    fn warning(&self, client: &Client) -> Option<Warning>;

    /// Whether a request with the connection's ticket asks for it.
    fn takes_tickets(&self) -> bool;
}

/// What is to be said of an end that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// From when on.
    pub from: SystemTime,
    /// The end.
    pub end: SystemTime,
    /// What the client is told, where anything.
    pub message: Option<Message<'static>>,
}

/// How many credentials a connection may show at once.
const BURST: u32 = 10;
/// How long until it may show one more.
const EVERY: Duration = Duration::from_secs(6);

/// How many credentials one connection may still show: to look at one takes a while, and who shows many guesses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts(Option<Instant>);

impl Attempts {
    /// One is shown.
    ///
    /// # Errors
    /// How long until another may be; this one is not to be looked at.
    pub fn spend(&mut self, now: Instant) -> Result<(), Duration> {
        // GCRA: the moment at which as many would be there again as there were at first.
        let full = self.0.unwrap_or(now).max(now);
        let wait = (full + EVERY).saturating_duration_since(now + EVERY * BURST);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.0 = Some(full + EVERY);
        Ok(())
    }
}

/// A step that renews, with what it would renew.
pub struct Renewing<'a> {
    /// The step.
    pub step: &'a Step,
    /// What it has proven.
    pub identity: Arc<Identity>,
    /// Its renewing side.
    pub renewal: &'a dyn Renewal,
}

/// The steps of a pipeline that renew what they have proven of this client. One in report mode lets everybody in, and renews nothing.
pub fn renewing<'a>(pipeline: &'a Pipeline, client: &Client) -> impl Iterator<Item = Renewing<'a>> {
    pipeline.steps().filter(|step| step.mode == Mode::Enforce).filter_map(|step| {
        let renewal = step.stage.renewal()?;
        Some(Renewing { step, identity: renewal.identity(client)?, renewal })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_may_come_at_once_and_then_one_every_six_seconds() {
        let mut attempts = Attempts::default();
        let start = Instant::now();
        let mut at = |second| attempts.spend(start + Duration::from_secs(second)).map_err(|wait| wait.as_secs());
        assert!((0..10).all(|_| at(0) == Ok(())));
        assert_eq!([at(0), at(5), at(6), at(6), at(12)], [Err(6), Err(1), Ok(()), Err(6), Ok(())]);
        assert!((0..10).all(|_| at(600) == Ok(())));
        assert_eq!(at(600), Err(6));
    }
}
