//! Chooses the server that a connection goes to.

use std::cmp::Reverse;
use std::sync::Arc;

use tokio::time::Instant;

use super::server::Server;
use super::state::State;

/// How connections are spread over servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// To the server with the fewest connections for its weight; by turns among equals.
    #[default]
    LeastConn,
    /// By turns, of which a server has as many as its weight, spread among those of the others.
    RoundRobin,
    /// By lot, of which a server has as many as its weight.
    Random,
}

/// A server and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) server: Server,
    pub(super) state: Arc<State>,
}

impl Member {
    /// Whether it gets connections: it neither drains nor rests.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        !self.server.drains() && self.state.rest(now).is_zero()
    }

    fn weight(&self) -> u64 {
        self.server.weight().get().into()
    }
}

/// A server that a connection may go to, and its place among the upstream's.
pub(super) type Candidate<'a> = (usize, &'a Member);

/// The servers that a connection may go to: those not tried yet that are ready. Where none is, the one that rests least; one that
/// drains is never among them.
pub(super) fn candidates<'a>(members: &'a [Member], tried: &[usize], now: Instant) -> Vec<Candidate<'a>> {
    let untried = || members.iter().enumerate().filter(|(index, member)| !member.server.drains() && !tried.contains(index));
    let ready: Vec<_> = untried().filter(|(_, member)| member.is_ready(now)).collect();
    if ready.is_empty() { untried().min_by_key(|(_, member)| member.state.rest(now)).into_iter().collect() } else { ready }
}

impl Balance {
    /// One of these servers, by this rule.
    ///
    /// Two threads that choose at the same moment may choose the same server; the next choices make up for it.
    pub(super) fn choose<'a>(self, candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        match self {
            Self::LeastConn => least_conn(candidates),
            Self::RoundRobin => round_robin(candidates),
            Self::Random => random(candidates),
        }
    }
}

/// Those with the fewest connections for their weight; among equals, as among servers that are all idle, by turns.
fn least_conn<'a>(candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let open: Vec<(u128, Candidate<'a>)> = candidates.iter().map(|candidate| (candidate.1.state.open() as u128, *candidate)).collect();
    // Quotients compared without dividing.
    let compare = |(open, one): &(u128, Candidate<'_>), (other_open, other): &(u128, Candidate<'_>)| {
        (open * u128::from(other.1.weight())).cmp(&(other_open * u128::from(one.1.weight())))
    };
    let least = *open.iter().min_by(|one, other| compare(one, other))?;
    let equals: Vec<Candidate<'a>> = open.iter().filter(|one| compare(one, &least).is_eq()).map(|(_, candidate)| *candidate).collect();
    round_robin(&equals)
}

/// Each earns its weight at every choice, who has most is chosen and pays what all have earned: the turns of a heavy server are not
/// one after the other. What is earned outlives a reload, as the states do.
fn round_robin<'a>(candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let earned = |(_, member): &Candidate<'_>| member.state.earn(member.server.weight());
    let credits: Vec<_> = candidates.iter().map(|candidate| (earned(candidate), *candidate)).collect();
    let (_, chosen) = credits.into_iter().min_by_key(|(credit, _)| Reverse(*credit))?;
    chosen.1.state.pay(candidates.iter().map(|(_, member)| member.server.weight()));
    Some(chosen)
}

fn random<'a>(candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let total: u64 = candidates.iter().map(|(_, member)| member.weight()).sum();
    let mut lot = rand::random_range(0..total.max(1));
    let is_drawn = |(_, member): &&Candidate<'a>| {
        let drawn = lot < member.weight();
        lot = lot.saturating_sub(member.weight());
        drawn
    };
    candidates.iter().find(is_drawn).copied()
}

#[cfg(test)]
mod tests {
    use super::super::state::{FAILURES, Lease, REST, States};
    use super::*;
    use std::collections::HashSet;
    use std::num::NonZeroU32;

    /// Servers of these weights.
    fn members(weights: &[u32]) -> Vec<Member> {
        let states = States::default();
        let weighed = |(port, weight): (usize, &u32)| {
            let server: Server = format!("ws://a:{}", port + 1).parse().unwrap();
            Member { state: states.of(&server), server: server.with_weight(NonZeroU32::new(*weight).unwrap()) }
        };
        weights.iter().enumerate().map(weighed).collect()
    }

    fn put_to_rest(member: &Member) {
        (0..FAILURES).for_each(|_| _ = member.state.failed(Instant::now()));
    }

    fn choose(balance: Balance, members: &[Member], tried: &[usize]) -> Option<usize> {
        balance.choose(&candidates(members, tried, Instant::now())).map(|(index, _)| index)
    }

    #[test]
    fn least_conn_goes_where_fewest_are_and_by_turns_among_equals() {
        let members = members(&[1, 1, 1]);
        let choose = |_| choose(Balance::LeastConn, &members, &[]).unwrap();
        assert_eq!((0..4).map(choose).collect::<Vec<_>>(), [0, 1, 2, 0]);
        let busy = [Lease::new(&members[0].state), Lease::new(&members[2].state)];
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([1]));
        drop(busy);
    }

    #[test]
    fn least_conn_keeps_connections_in_the_ratio_of_the_weights() {
        let members = members(&[5, 1, 2]);
        let mut held = Vec::new();
        for _ in 0..80 {
            let chosen = choose(Balance::LeastConn, &members, &[]).unwrap();
            held.push(Lease::new(&members[chosen].state));
        }
        assert_eq!(members.iter().map(|member| member.state.open()).collect::<Vec<_>>(), [50, 10, 20]);
    }

    #[test]
    fn least_conn_takes_turns_by_weight_where_all_are_idle() {
        let members = members(&[8, 1, 1]);
        let taken: Vec<_> = (0..10).map(|_| choose(Balance::LeastConn, &members, &[]).unwrap()).collect();
        assert_eq!([0, 1, 2].map(|index| taken.iter().filter(|taken| **taken == index).count()), [8, 1, 1]);
    }

    #[test]
    fn round_robin_takes_turns_whatever_the_load() {
        let members = members(&[1, 1, 1]);
        let _busy = Lease::new(&members[0].state);
        let taken: Vec<_> = (0..6).map(|_| choose(Balance::RoundRobin, &members, &[]).unwrap()).collect();
        assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn round_robin_spreads_the_turns_of_a_heavy_server() {
        let members = members(&[5, 1, 1]);
        let mut taken = (0..).map(|_| choose(Balance::RoundRobin, &members, &[]).unwrap());
        for _ in 0..3 {
            assert_eq!(taken.by_ref().take(7).collect::<Vec<_>>(), [0, 0, 1, 0, 2, 0, 0]);
        }
    }

    #[test]
    fn random_reaches_every_server_by_its_weight() {
        let members = members(&[1, 8, 1]);
        let mut counts = [0; 3];
        (0..5000).for_each(|_| counts[choose(Balance::Random, &members, &[]).unwrap()] += 1);
        // Far beyond what chance allows, on either side: 500, 4000 and 500 are expected.
        assert!((300..700).contains(&counts[0]) && (3700..4300).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn a_server_is_tried_once_and_then_there_is_none() {
        let members = members(&[1, 1]);
        for balance in [Balance::LeastConn, Balance::RoundRobin, Balance::Random] {
            assert_eq!(choose(balance, &members, &[0]), Some(1));
            assert_eq!(choose(balance, &members, &[1, 0]), None);
            assert_eq!(choose(balance, &[], &[]), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_server_is_passed_over_unless_all_rest_and_then_the_first_to_wake_is_taken() {
        let members = members(&[1, 1]);
        put_to_rest(&members[1]);
        tokio::time::advance(REST / 2).await;
        let choose = |_| choose(Balance::RoundRobin, &members, &[]).unwrap();
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([0]));
        put_to_rest(&members[0]);
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([1]));
        tokio::time::advance(REST).await;
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([0, 1]));
    }

    #[test]
    fn a_draining_server_is_not_even_the_last_resort() {
        let mut members = members(&[1, 1]);
        members[0].server = members[0].server.clone().draining();
        for balance in [Balance::LeastConn, Balance::RoundRobin, Balance::Random] {
            assert_eq!((0..4).map(|_| choose(balance, &members, &[])).collect::<HashSet<_>>(), HashSet::from([Some(1)]));
            assert_eq!(choose(balance, &members, &[1]), None);
        }
        put_to_rest(&members[1]);
        assert_eq!(choose(Balance::LeastConn, &members, &[]), Some(1));
    }
}
