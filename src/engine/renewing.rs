//! A live connection shows a newer credential: the stage that let it in looks at it, and the connection is judged again by what it proves.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::secret::Secret;
use crate::observe::event::{Event, Shown};
use crate::stage::pipeline::Step;
use crate::stage::refusal::{AUTH_UNAVAILABLE, INTERNAL, Verdict};
use crate::stage::renewal::Renewing;
use crate::stage::{BoxFuture, Client, Identity, Refusal};
use crate::wire::session::Session;
use crate::wire::tick::Tick;

use super::live::Live;

/// What a credential proves.
type Proven = Result<Identity, Box<Refusal>>;

/// A credential that the client has shown in a message, while it is looked at. Another that comes meanwhile takes its place.
pub(super) struct Pending {
    stage: Arc<str>,
    proven: BoxFuture<'static, Proven>,
}

/// An identity that was proven elsewhere, for the connection that it is to renew.
pub(super) struct Delivery {
    /// The stage that has verified it.
    pub(super) stage: Arc<str>,
    pub(super) identity: Identity,
    /// What has become of it.
    pub(super) answer: oneshot::Sender<Verdict>,
}

/// What a client has shown while its session was polled: to which stage, and what.
pub(super) type Noted = Cell<Option<(Arc<str>, Secret)>>;

/// Has a stage look at a credential, which may take no longer than at a handshake.
pub(super) async fn prove(step: Step, client: Arc<Client>, credential: Secret, within: Duration) -> Proven {
    let proven = match step.stage.renewal() {
        Some(renewal) => timeout(within, renewal.renew(&client, credential.expose())).await,
        None => Ok(Err(Box::new(Refusal::new(INTERNAL).rule("asked to renew, and does not")))),
    };
    let late = || Box::new(Refusal::new(AUTH_UNAVAILABLE).rule("no judgement within `handshake_timeout`"));
    proven.unwrap_or_else(|_| Err(late())).map_err(|refusal| step.sign(refusal))
}

impl<S: Session + Unpin> Live<S> {
    /// Begins to look at what the client has shown.
    pub(super) fn look_at(&mut self, noted: &Noted) {
        let Some((stage, credential)) = noted.take() else { return };
        let client = &self.seat.record.client;
        let step = self.policy.renewing(client).find(|renewing| renewing.step.name == stage).map(|renewing| renewing.step.clone());
        if let Some(step) = step {
            let proven = Box::pin(prove(step, client.clone(), credential, self.policy.listener.handshake_timeout));
            self.renewal = Some(Box::new(Pending { stage, proven }));
        }
    }

    /// Takes what is being looked at on; says whether that has come to an end.
    pub(super) fn advance_renewal(&mut self, cx: &mut Context<'_>, now: Tick) -> bool {
        let Some(pending) = &mut self.renewal else { return false };
        let Poll::Ready(proven) = pending.proven.as_mut().poll(cx) else { return false };
        let stage = pending.stage.clone();
        self.renewal = None;
        match proven {
            Ok(identity) => match self.renew(&stage, identity, Shown::Message, now) {
                Ok(left) => self.answer(&stage, Ok(left), now),
                // Whoever speaks here is not, or no longer, whom the connection was opened for.
                Err(refusal) => self.end(refusal, now),
            },
            Err(refusal) => {
                let mut refusal = self.refuse(&stage, Shown::Message, refusal);
                self.policy.tell(&self.seat.record.client, &mut refusal);
                self.answer(&stage, Err(&refusal), now);
            }
        }
        true
    }

    /// Tells the client what has become of what it has shown, as the stage words it.
    fn answer(&mut self, stage: &str, outcome: Result<Option<Duration>, &Refusal>, now: Tick) {
        let renewing = self.policy.renewing(&self.seat.record.client).find(|renewing| *renewing.step.name == *stage);
        if let Some(message) = renewing.and_then(|renewing| renewing.renewal.told(outcome)) {
            self.session.say(&message, now);
        }
    }

    /// Takes what was proven elsewhere; one that is ending takes nothing more.
    pub(super) fn accept(&mut self, delivery: Delivery, now: Tick) {
        let Delivery { stage, identity, answer } = delivery;
        if self.session.deadline().is_none() {
            // Who has asked may have gone; it is renewed all the same.
            _ = answer.send(self.renew(&stage, identity, Shown::Ticket, now).map(drop));
        }
    }

    /// Goes by this identity, judged again by the stages that let the connection in; says how long it may go on. The backend is told
    /// nothing: what it was told of the client at the handshake stands.
    ///
    /// # Errors
    /// Why it does not. A stage that refuses it ends the connection; somebody else's identity leaves that to the caller.
    fn renew(&mut self, stage: &Arc<str>, identity: Identity, how: Shown, now: Tick) -> Result<Option<Duration>, Box<Refusal>> {
        let expires = identity.expires;
        self.seat.record.client.identities.renew(identity).map_err(|refusal| self.refuse(stage, how, refusal))?;
        self.is_renewed = true;
        let judged = SystemTime::now();
        if let Some(refusal) = self.review(judged) {
            let refusal = self.refuse(stage, how, refusal);
            self.end(refusal.clone(), now);
            return Err(refusal);
        }
        self.adopt(self.policy.clone(), judged, now);
        self.worker.observer().report(&Event::Renewed { client: &self.seat.record.client, stage, how, expires });
        Ok(expires.map(|expires| expires.duration_since(judged).unwrap_or_default()))
    }

    /// What was shown does not renew the connection.
    fn refuse(&self, stage: &Arc<str>, how: Shown, mut refusal: Box<Refusal>) -> Box<Refusal> {
        refusal.stage.get_or_insert_with(|| stage.clone());
        self.worker.observer().report(&Event::RenewalRefused { client: &self.seat.record.client, how, refusal: &refusal });
        refusal
    }

    /// Tells of what is about to end, once each.
    pub(super) fn warn(&mut self, at: SystemTime, now: Tick) {
        let client = &self.seat.record.client;
        for (Renewing { step, identity, .. }, warning) in self.policy.warnings(client) {
            if warning.from > at {
                continue;
            }
            // What has ended by now is said no more, and not waited for either.
            client.identities.warned(&identity.by);
            let Ok(left) = warning.end.duration_since(at) else { continue };
            self.worker.observer().report(&Event::Expiring { client, stage: &step.name, left });
            if let Some(message) = warning.message {
                self.session.say(&message, now);
            }
        }
    }
}
