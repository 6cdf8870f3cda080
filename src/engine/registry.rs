//! The live connections of one worker, listed by listener and route.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::SystemTime;

use crate::endpoint::upstream::State;
use crate::observe::Observer;
use crate::observe::event::{Attempt, Event};
use crate::stage::holders::Holder;
use crate::stage::{Client, Refusal};

use super::live::Carrier;
use super::policy::Policy;
use super::renewing::Delivery;
use super::tickets::Enrolled;

/// A place in a registry: an index, and how often that index was given away before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    index: u32,
    turn: u32,
}

/// What a handshake has settled for as long as the connection lives.
#[derive(Default)]
pub(super) struct Settled {
    /// What is known of the server it is connected to, where its endpoint is an upstream.
    pub(super) server: Option<Arc<State>>,
    /// Whether compressed messages may depend on those before them (RFC 7692 §7.1.1), so that none can be left out or read.
    pub(super) takeover: bool,
    /// The connection of HTTP/2 that it is a stream of.
    pub(super) carrier: Option<Arc<Carrier>>,
}

/// What the engine knows of a live connection from outside its task.
pub(super) struct Record {
    /// The facts it is judged by.
    pub(super) client: Arc<Client>,
    /// This and the next two are what is [`Settled`].
    server: Option<Arc<State>>,
    pub(super) carrier: Option<Arc<Carrier>>,
    pub(super) takeover: bool,
    observer: Arc<Observer>,
    mail: Mutex<Mail>,
    /// Whether it was ordered to end; written while the mail is locked.
    is_ending: AtomicBool,
    /// Whether nobody takes mail any more, as the connection has ended; read and written while it is locked.
    is_over: AtomicBool,
    /// Set where there is mail or its time has come, so that a poll without either costs one load.
    called: AtomicBool,
}

struct Mail {
    waker: Option<Waker>,
    /// What it goes by, or is about to.
    policy: Policy,
    order: Option<Order>,
    delivery: Option<Box<Delivery>>,
}

impl Mail {
    /// Whether the order in it is one to end.
    fn is_to_end(&self) -> bool {
        matches!(self.order, Some(Order::End(_) | Order::Leave(_)))
    }
}

/// What a connection is asked to do.
pub(super) enum Order {
    /// To go by the policy in its mail, by which it has been judged at this moment.
    Adopt(SystemTime),
    /// To end; its policy has not yet said how the client is told.
    End(Box<Refusal>),
    /// To end, and to tell the client so as it is.
    Leave(Box<Refusal>),
}

impl Record {
    pub(super) fn new(client: Arc<Client>, policy: Policy, settled: Settled, observer: Arc<Observer>) -> Self {
        let mail = Mutex::new(Mail { waker: None, policy, order: None, delivery: None });
        let [is_ending, is_over, called] = [(); 3].map(|()| AtomicBool::new(false));
        let Settled { server, takeover, carrier } = settled;
        Self { client, server, carrier, takeover, observer, mail, is_ending, is_over, called }
    }

    /// The server it is connected to, where its endpoint is an upstream.
    pub(super) fn server(&self) -> Option<&Arc<str>> {
        self.server.as_ref().map(|state| state.server())
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection's own task says how to wake it.
    pub(super) fn wake_with(&self, waker: &Waker) {
        self.mail().waker = Some(waker.clone());
    }

    /// Wakes the connection to look at its deadlines.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
        if let Some(waker) = &self.mail().waker {
            waker.wake_by_ref();
        }
    }

    /// Leaves an order in the mail; the first order to end stands.
    fn order(&self, mut mail: MutexGuard<'_, Mail>, order: Order) {
        if !mail.is_to_end() {
            mail.order = Some(order);
            self.is_ending.fetch_or(mail.is_to_end(), Ordering::Relaxed);
        }
        drop(mail);
        self.call();
    }

    /// Orders the connection to end.
    pub(super) fn end(&self, refusal: Box<Refusal>) {
        self.order(self.mail(), Order::End(refusal));
    }

    /// Orders the connection to end, and to tell the client so as it is.
    pub(super) fn leave(&self, refusal: Box<Refusal>) {
        self.order(self.mail(), Order::Leave(refusal));
    }

    /// Orders the connection to go by another policy, by which it was judged at this moment.
    pub(super) fn adopt(&self, policy: Policy, judged: SystemTime) {
        let mut mail = self.mail();
        mail.policy = policy;
        self.order(mail, Order::Adopt(judged));
    }

    /// Gives the connection an identity that is to renew its own, unless another has come before that it has not taken yet: says whether
    /// it does. Who comes too late hears that there is no answer.
    pub(super) fn deliver(&self, delivery: Delivery) -> bool {
        {
            let mut mail = self.mail();
            if self.is_over.load(Ordering::Relaxed) {
                return true;
            }
            if mail.delivery.is_some() {
                return false;
            }
            mail.delivery = Some(Box::new(delivery));
        }
        self.call();
        true
    }

    /// The connection has ended, and takes nothing more.
    pub(super) fn take_no_more(&self) {
        let mut mail = self.mail();
        self.is_over.store(true, Ordering::Relaxed);
        mail.delivery = None;
    }

    /// What has been delivered, if anything.
    pub(super) fn take_delivery(&self) -> Option<Box<Delivery>> {
        self.mail().delivery.take()
    }

    /// What it goes by, or is about to.
    pub(super) fn policy(&self) -> Policy {
        self.mail().policy.clone()
    }

    /// Whether it was ordered to end, and only has not yet.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// What it was ordered to end for lets it come to its own end: until then it can be ordered again.
    pub(super) fn goes_on(&self) {
        let mail = self.mail();
        self.is_ending.store(mail.is_to_end(), Ordering::Relaxed);
    }

    /// Whether the connection was called and has not [noticed](Self::was_called).
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Whether the connection was called; it has noticed then.
    pub(super) fn was_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Acquire)
    }

    /// What it is asked to do, if anything.
    pub(super) fn take_order(&self) -> Option<Order> {
        self.mail().order.take()
    }
}

impl Holder for Record {
    fn replaced(&self, refusal: Refusal) {
        if refusal.report {
            self.observer.report(&Event::WouldRefuse { attempt: Attempt::from(&*self.client), refusal: &refusal });
        } else {
            self.end(Box::new(refusal));
        }
    }
}

/// The live connections of one worker.
#[derive(Default)]
pub(super) struct Registry {
    lists: Mutex<Lists>,
}

/// Connections that are wanted, and how many are not, by their routes.
#[derive(Default)]
pub(super) struct Split {
    pub(super) wanted: Vec<Arc<Record>>,
    pub(super) others: Vec<(Arc<str>, usize)>,
}

#[derive(Default)]
struct Lists {
    places: Vec<Entry>,
    free: Vec<u32>,
    by_route: HashMap<(Arc<str>, Arc<str>), Vec<u32>>,
}

struct Entry {
    turn: u32,
    record: Option<Arc<Record>>,
    /// Where it stands in its route's list.
    position: u32,
}

impl Registry {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a connection; dropping the seat strikes it out.
    pub(super) fn enter(self: &Arc<Self>, record: Arc<Record>) -> Seat {
        let place = self.lists().enter(record.clone());
        Seat { registry: self.clone(), place, record, ticket: None }
    }

    /// The connection at a place, unless it has ended.
    pub(super) fn get(&self, place: Place) -> Option<Arc<Record>> {
        let lists = self.lists();
        let entry = lists.places.get(place.index as usize)?;
        entry.record.clone().filter(|_| entry.turn == place.turn)
    }

    /// Whether nobody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.lists().by_route.is_empty()
    }

    /// The live connections of these listeners and routes, and how many others there are by their routes.
    pub(super) fn split(&self, mut wanted: impl FnMut(&str, &str) -> bool) -> Split {
        let lists = self.lists();
        let mut split = Split::default();
        for ((listener, route), places) in &lists.by_route {
            if wanted(listener, route) {
                split.wanted.extend(places.iter().filter_map(|place| lists.places.get(*place as usize)?.record.clone()));
            } else {
                split.others.push((route.clone(), places.len()));
            }
        }
        split
    }

    /// Live connections at `most` places from this one on; none where there are no more places. One that lives through a walk over all
    /// places is met once.
    pub(super) fn some(&self, from: usize, most: usize) -> Option<Vec<Arc<Record>>> {
        let lists = self.lists();
        let places = lists.places.get(from..).filter(|places| !places.is_empty())?;
        Some(places.iter().take(most).filter_map(|entry| entry.record.clone()).collect())
    }

    /// Every live connection.
    pub(super) fn all(&self) -> Vec<Arc<Record>> {
        self.lists().places.iter().filter_map(|entry| entry.record.clone()).collect()
    }
}

impl Lists {
    fn enter(&mut self, record: Arc<Record>) -> Place {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Entry { turn: 0, record: None, position: 0 });
            count(self.places.len() - 1)
        });
        let list = self.by_route.entry(list_of(&record)).or_default();
        let position = count(list.len());
        list.push(index);
        let entry = self.places.get_mut(index as usize).expect("a free index was given away before");
        entry.record = Some(record);
        entry.position = position;
        Place { index, turn: entry.turn }
    }

    fn strike(&mut self, place: Place) {
        let Some(entry) = self.places.get_mut(place.index as usize) else { return };
        let Some(record) = entry.record.take() else { return };
        entry.turn = entry.turn.wrapping_add(1);
        let position = entry.position;
        self.free.push(place.index);
        let key = list_of(&record);
        let Some(list) = self.by_route.get_mut(&key) else { return };
        list.swap_remove(position as usize);
        match list.get(position as usize) {
            Some(&moved) => {
                if let Some(moved) = self.places.get_mut(moved as usize) {
                    moved.position = position;
                }
            }
            None if list.is_empty() => {
                self.by_route.remove(&key);
            }
            None => {}
        }
    }
}

fn count(connections: usize) -> u32 {
    u32::try_from(connections).expect("a process has fewer than 2^32 sockets")
}

fn list_of(record: &Record) -> (Arc<str>, Arc<str>) {
    (record.client.peer.listener.clone(), record.client.route.clone())
}

/// A connection's entry in the registry, for as long as it lives.
pub(super) struct Seat {
    registry: Arc<Registry>,
    pub(super) place: Place,
    pub(super) record: Arc<Record>,
    /// Where it is found by its ticket, if it has one.
    pub(super) ticket: Option<Box<Enrolled>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.lists().strike(self.place);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::engine::tests::record;
    use crate::stage::{Identity, Proof, Verdict};

    /// An allocator adds 8 bytes to it and its counts, and rounds up to 16.
    #[test]
    fn a_record_takes_128_bytes() {
        assert!(size_of::<Record>() + 2 * size_of::<usize>() + 8 <= 128, "{}", size_of::<Record>());
    }

    fn delivery() -> (Delivery, oneshot::Receiver<Verdict>) {
        let identity = Identity {
            by: "jwt.a".into(),
            user: None,
            claims: "{}".into(),
            expires: None,
            proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
        };
        let (answer, answered) = oneshot::channel();
        (Delivery { stage: "jwt.a".into(), identity, answer }, answered)
    }

    #[test]
    fn what_a_connection_does_not_take_is_answered_by_nobody_at_once() {
        let record = record();
        let ((first, mut first_answer), (second, mut second_answer), (late, mut late_answer)) = (delivery(), delivery(), delivery());
        assert!(record.deliver(first));
        assert!(!record.deliver(second), "another has come before");
        assert_eq!(second_answer.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(first_answer.try_recv(), Err(TryRecvError::Empty));
        record.take_no_more();
        assert_eq!(first_answer.try_recv(), Err(TryRecvError::Closed), "it has ended");
        assert!(record.deliver(late));
        assert_eq!(late_answer.try_recv(), Err(TryRecvError::Closed), "it had ended");
    }
}
