//! Weighted rendezvous hashing: equal values lead to the same server, in every gateway and after every restart.
//!
//! Each server has a score for a value, which the others do not change, and the best score wins. So a server that is added takes
//! its share from all others, one that goes leaves its share to them, and no other value moves (Thaler and Ravishankar, 1998).
//! With `u` a number between 0 and 1 that is hashed of both, the score is `-ln(u) / weight` and the least is the best: of
//! exponential variables the least is each one's as often as its rate.
//!
//! The hash is FNV-1a of 64 bits over the value and then the server's name, stirred by the finaliser of MurmurHash3. It is no
//! secret: who chooses the value chooses the server, and could by sending the same value again. It must not change, lest every
//! client be moved by an update; a test holds it.

use super::server::Server;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// What is hashed of a value, whichever server it is scored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// Of this value.
    pub(super) fn of(value: &[u8]) -> Self {
        Self(fnv(OFFSET, value))
    }

    /// A server's score for the value: positive, and the least of all servers' is the best.
    pub(super) fn score(self, server: &Server) -> f64 {
        // The upper 53 bits, which a double holds exactly; the half keeps it from 0, whose logarithm would be no number.
        let fraction = ((stirred(fnv(self.0, server.name().as_bytes())) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -fraction.ln() / f64::from(server.weight().get())
    }
}

/// A name for a server that does not say where it is.
pub(super) fn id(server: &Server) -> String {
    format!("{:016x}", stirred(fnv(OFFSET, server.name().as_bytes())))
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Every bit of the result depends on every bit of the hash, as those of FNV's last bytes do not.
fn stirred(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn servers(weights: &[u32]) -> Vec<Server> {
        let weighed = |(index, weight): (usize, &u32)| {
            let server: Server = format!("ws://10.0.0.{}:9001", index + 1).parse().unwrap();
            server.with_weight(NonZeroU32::new(*weight).unwrap())
        };
        weights.iter().enumerate().map(weighed).collect()
    }

    fn chosen(servers: &[Server], value: &str) -> String {
        let digest = Digest::of(value.as_bytes());
        servers.iter().min_by(|one, other| digest.score(one).total_cmp(&digest.score(other))).unwrap().to_string()
    }

    fn values() -> impl Iterator<Item = String> {
        (0..10_000).map(|number| format!("user-{number}"))
    }

    #[test]
    fn a_server_that_is_added_takes_its_share_and_nobody_else_moves() {
        let (four, five) = (servers(&[1; 4]), servers(&[1; 5]));
        let moved: Vec<_> = values().filter(|value| chosen(&four, value) != chosen(&five, value)).collect();
        assert!(moved.iter().all(|value| chosen(&five, value) == "ws://10.0.0.5:9001"));
        assert!((1850..2150).contains(&moved.len()), "a fifth is 2000: {}", moved.len());
    }

    #[test]
    fn a_server_has_the_share_of_its_weight_and_one_that_weighs_more_only_takes() {
        let (before, after) = (servers(&[1, 2, 1]), servers(&[1, 6, 1]));
        let share = |servers: &[Server]| values().filter(|value| chosen(servers, value) == "ws://10.0.0.2:9001").count();
        assert!((4800..5200).contains(&share(&before)) && (7300..7700).contains(&share(&after)));
        let moved = values().filter(|value| chosen(&before, value) != chosen(&after, value));
        assert!(moved.map(|value| chosen(&after, &value)).all(|server| server == "ws://10.0.0.2:9001"));
    }

    #[test]
    fn the_order_of_the_servers_changes_nothing() {
        let servers = servers(&[1, 3, 2]);
        let reversed: Vec<_> = servers.iter().rev().cloned().collect();
        assert!(values().all(|value| chosen(&servers, &value) == chosen(&reversed, &value)));
    }

    #[test]
    fn values_lead_where_they_led_in_every_version_before() {
        let servers = servers(&[1, 1, 2]);
        let rows = [("alice", 1), ("bob", 2), ("room-7", 2), ("grace", 3)];
        for (value, server) in rows {
            assert_eq!(chosen(&servers, value), format!("ws://10.0.0.{server}:9001"), "{value}");
        }
        assert_eq!(fnv(OFFSET, b"foobar"), 0x8594_4171_f739_67e8, "a test vector of FNV-1a");
        assert_eq!(id(&servers[0]), "f293d5afd82a5524");
    }
}
