//! Chooses the server that a connection goes to.

use std::sync::Arc;

use tokio::time::Instant;

use super::server::Server;
use super::state::State;

/// How connections are spread over servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// To the server with the fewest connections; by turns among equals.
    #[default]
    LeastConn,
    /// By turns.
    RoundRobin,
    /// By lot.
    Random,
}

/// A server and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) server: Server,
    pub(super) state: Arc<State>,
}

impl Balance {
    /// The index of a server that was not tried yet: of those awake one by this rule, or else the one that rests least.
    ///
    /// Two threads that choose at the same moment may choose the same least busy server; the next choice makes up for it.
    pub(super) fn choose(self, members: &[Member], tried: &[usize], turn: usize, now: Instant) -> Option<usize> {
        let untried = || members.iter().enumerate().filter(|(index, _)| !tried.contains(index));
        let awake: Vec<(usize, &Member)> = untried().filter(|(_, member)| member.state.rest(now).is_zero()).collect();
        if awake.is_empty() {
            return untried().min_by_key(|(_, member)| member.state.rest(now)).map(|(index, _)| index);
        }
        let from_turn = || awake.iter().cycle().skip(turn % awake.len()).take(awake.len());
        let chosen = match self {
            Self::LeastConn => from_turn().min_by_key(|(_, member)| member.state.open()),
            Self::RoundRobin => from_turn().next(),
            Self::Random => awake.get(rand::random_range(0..awake.len())),
        };
        chosen.map(|(index, _)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{FAILURES, Lease, REST, States};
    use super::*;
    use std::collections::HashSet;

    fn members(count: u16) -> Vec<Member> {
        let states = States::default();
        (1..=count)
            .map(|port| {
                let server: Server = format!("ws://a:{port}").parse().unwrap();
                Member { state: states.of(&server), server }
            })
            .collect()
    }

    fn put_to_rest(member: &Member) {
        (0..FAILURES).for_each(|_| _ = member.state.failed(Instant::now()));
    }

    #[test]
    fn least_conn_goes_where_fewest_are_and_by_turns_among_equals() {
        let members = members(3);
        let choose = |turn| Balance::LeastConn.choose(&members, &[], turn, Instant::now()).unwrap();
        assert_eq!((0..4).map(choose).collect::<Vec<_>>(), [0, 1, 2, 0]);
        let busy = [Lease::new(&members[0].state), Lease::new(&members[2].state)];
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([1]));
        drop(busy);
    }

    #[test]
    fn round_robin_takes_turns_whatever_the_load() {
        let members = members(2);
        let _busy = Lease::new(&members[0].state);
        let choose = |turn| Balance::RoundRobin.choose(&members, &[], turn, Instant::now()).unwrap();
        assert_eq!((usize::MAX - 1..=usize::MAX).map(choose).collect::<HashSet<_>>(), HashSet::from([0, 1]));
    }

    #[test]
    fn random_reaches_every_server() {
        let members = members(3);
        let chosen: HashSet<usize> = (0..200).filter_map(|_| Balance::Random.choose(&members, &[], 0, Instant::now())).collect();
        assert_eq!(chosen, HashSet::from([0, 1, 2]));
    }

    #[test]
    fn a_server_is_tried_once_and_then_there_is_none() {
        let members = members(2);
        for balance in [Balance::LeastConn, Balance::RoundRobin, Balance::Random] {
            assert_eq!(balance.choose(&members, &[0], 0, Instant::now()), Some(1));
            assert_eq!(balance.choose(&members, &[1, 0], 0, Instant::now()), None);
            assert_eq!(balance.choose(&[], &[], 0, Instant::now()), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_server_is_passed_over_unless_all_rest_and_then_the_first_to_wake_is_taken() {
        let members = members(2);
        put_to_rest(&members[1]);
        tokio::time::advance(REST / 2).await;
        let choose = |turn| Balance::RoundRobin.choose(&members, &[], turn, Instant::now()).unwrap();
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([0]));
        put_to_rest(&members[0]);
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([1]));
        tokio::time::advance(REST).await;
        assert_eq!((0..4).map(choose).collect::<HashSet<_>>(), HashSet::from([0, 1]));
    }
}
