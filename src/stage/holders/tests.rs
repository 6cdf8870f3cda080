//! Slots taken, given back and taken over, by one thread and by many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::stage::refusal::SESSION_REPLACED;

/// A connection that counts how often it is told.
#[derive(Default)]
pub(super) struct Told(AtomicUsize);

impl Holder for Told {
    fn replaced(&self, _: Refusal) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection from its handshake on.
struct Connection {
    slot: Slot,
    told: Arc<Told>,
}

impl Connection {
    fn new(holders: &Arc<Holders>, max: usize) -> Self {
        Self { slot: holders.succeed(max, Refusal::new(SESSION_REPLACED).rule(format!("concurrent {max}"))), told: Arc::default() }
    }

    fn go_live(&mut self) -> bool {
        let holder: Arc<dyn Holder> = self.told.clone();
        self.slot.go_live(&holder)
    }

    fn live(holders: &Arc<Holders>, max: usize) -> Self {
        let mut connection = Self::new(holders, max);
        assert!(connection.go_live());
        connection
    }

    fn told(&self) -> usize {
        self.told.0.load(Ordering::Relaxed)
    }
}

fn told(connections: &[Connection]) -> Vec<usize> {
    connections.iter().map(Connection::told).collect()
}

impl Holders {
    fn live(&self) -> usize {
        self.lock().live.len()
    }
}

#[test]
fn no_more_enter_than_there_are_slots_until_one_leaves() {
    let holders = Arc::<Holders>::default();
    let first = holders.enter(2).unwrap();
    let _second = holders.enter(2).unwrap();
    assert!(holders.enter(2).is_none());
    drop(first);
    assert!(holders.enter(2).is_some());
}

#[test]
fn a_newcomer_replaces_the_oldest_when_it_goes_live_and_not_before() {
    let holders = Arc::default();
    let live: Vec<_> = (0..3).map(|_| Connection::live(&holders, 3)).collect();
    let mut newcomer = Connection::new(&holders, 3);
    drop(Connection::new(&holders, 3));
    assert_eq!(told(&live), [0, 0, 0]);
    assert!(newcomer.go_live());
    assert_eq!(told(&live), [1, 0, 0]);
    let _next = Connection::live(&holders, 3);
    assert_eq!(told(&live), [1, 1, 0], "each is told once");
}

#[test]
fn who_has_left_is_nobody_s_to_replace() {
    let holders = Arc::default();
    let mut live: Vec<_> = (0..3).map(|_| Connection::live(&holders, 3)).collect();
    live.remove(0);
    let _newcomer = Connection::live(&holders, 3);
    assert_eq!(told(&live), [0, 0]);
}

#[test]
fn a_handshake_that_younger_ones_have_overtaken_does_not_go_live() {
    let holders = Arc::default();
    let mut slow = Connection::new(&holders, 2);
    let first = Connection::live(&holders, 2);
    assert!(slow.slot.verdict().is_ok(), "there is room for both");
    let second = Connection::live(&holders, 2);
    let refusal = slow.slot.verdict().unwrap_err();
    assert_eq!((refusal.outcome.id, refusal.rule.as_deref()), ("session_replaced", Some("concurrent 2")));
    assert!(!slow.go_live());
    assert_eq!((slow.told(), told(&[first, second])), (1, vec![0, 0]), "it pays for itself");
}

#[test]
fn a_handshake_that_was_overtaken_goes_live_where_there_is_room_again() {
    let holders = Arc::default();
    let mut slow = Connection::new(&holders, 1);
    drop(Connection::live(&holders, 1));
    assert!(slow.slot.verdict().is_ok() && slow.go_live());
}

#[test]
fn what_was_let_in_by_another_form_of_the_rule_or_a_larger_one_counts_and_can_be_replaced() {
    let holders = Arc::<Holders>::default();
    let told: Vec<Arc<Told>> = (0..4).map(|_| Arc::default()).collect();
    let mut slots: Vec<_> = told.iter().map(|_| holders.enter(4).unwrap()).collect();
    for (slot, told) in slots.iter_mut().zip(&told) {
        let holder: Arc<dyn Holder> = told.clone();
        assert!(slot.go_live(&holder));
    }
    let _newcomer = Connection::live(&holders, 2);
    assert_eq!(told.iter().map(|told| told.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1, 1, 0]);
    assert!(holders.enter(5).is_none(), "who is on its way out has its slot until it has gone");
}

#[test]
fn who_only_reports_is_let_in_and_told_of_as_the_oldest() {
    let holders = Arc::default();
    let mut slow = Connection::new(&holders, 1);
    slow.slot.sign(|refusal| refusal.report = true);
    let younger = Connection::live(&holders, 1);
    assert!(slow.slot.verdict().is_ok() && slow.go_live());
    assert_eq!((slow.told(), younger.told()), (1, 0));
}

#[test]
fn connections_of_many_threads_never_live_in_greater_number_and_leave_no_slot_behind() {
    const MAX: usize = 3;
    let holders = Arc::<Holders>::default();
    let connect = || {
        let mut connection = Connection::new(&holders, MAX);
        thread::yield_now();
        connection.go_live();
        assert!(holders.live() <= MAX);
        connection
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..200).map(|_| connect()).collect::<Vec<_>>())).collect();
        let all: Vec<Connection> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let told = told(&all);
        assert_eq!(told.iter().filter(|told| **told == 0).count(), MAX);
        assert!(told.iter().all(|told| *told <= 1));
        assert_eq!((holders.live(), holders.taken()), (MAX, 1600));
    });
    assert_eq!((holders.live(), holders.taken()), (0, 0));
}
