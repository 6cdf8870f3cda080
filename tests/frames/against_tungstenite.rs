//! The frame layer and tungstenite read the same bytes and come to the same verdict.

use proptest::collection::vec;
use proptest::prelude::*;
use wsgate::stage::Side;

use super::bytes::traffic;
use super::verdict::{End, compare, ours};

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Upstream)]
}

/// Well-formed traffic in which some bytes were changed, and an end lost.
fn damaged() -> impl Strategy<Value = (Side, Vec<u8>)> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    sides().prop_flat_map(traffic_of).prop_flat_map(move |(side, bytes)| {
        (damage.clone(), 0..=bytes.len()).prop_map(move |(damage, lost)| {
            let mut bytes = bytes.clone();
            for (at, byte) in damage.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(bytes.len() - lost / 4);
            (side, bytes)
        })
    })
}

fn traffic_of(side: Side) -> impl Strategy<Value = (Side, Vec<u8>)> {
    traffic(side).prop_map(move |frames| (side, frames.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn well_formed_traffic_is_read_alike((side, bytes) in sides().prop_flat_map(traffic_of), cuts in vec(1..300_usize, 1..8)) {
        let (_, end) = ours(side, &bytes, &cuts);
        prop_assert_eq!(end, End::Open);
        prop_assert_eq!(compare(side, &bytes, &cuts), Ok(()));
    }

    #[test]
    fn damaged_traffic_is_judged_alike((side, bytes) in damaged(), cuts in vec(1..300_usize, 1..8)) {
        prop_assert_eq!(compare(side, &bytes, &cuts), Ok(()));
    }

    #[test]
    fn arbitrary_bytes_are_judged_alike(side in sides(), bytes in vec(any::<u8>(), 0..400), cuts in vec(1..100_usize, 1..8)) {
        prop_assert_eq!(compare(side, &bytes, &cuts), Ok(()));
    }

    #[test]
    fn heads_that_are_nearly_right_are_judged_alike(
        side in sides(),
        heads in vec((any::<[bool; 2]>(), 0..16_u8, 0..130_u8, vec(any::<u8>(), 0..130)), 1..12),
        cuts in vec(1..100_usize, 1..8),
    ) {
        let mask = if side == Side::Client { 0x80 } else { 0 };
        let mut bytes = Vec::new();
        for ([is_final, has_rsv], opcode, length, payload) in heads {
            bytes.push(opcode | u8::from(is_final) << 7 | u8::from(has_rsv && length > 120) << 6);
            bytes.push(mask | length.min(127));
            bytes.extend(payload);
        }
        prop_assert_eq!(compare(side, &bytes, &cuts), Ok(()));
    }

    #[test]
    fn closes_are_judged_alike(side in sides(), code in prop_oneof![0..20_u16, 990..1020_u16, 2990..5010_u16], reason in vec(any::<u8>(), 0..6), cut in 0..8_usize) {
        let payload = [&code.to_be_bytes()[..], &reason].concat();
        let payload = payload.get(..cut).unwrap_or(&payload);
        prop_assert_eq!(compare(side, &super::bytes::frame(side, super::bytes::CLOSE, payload), &[3]), Ok(()));
    }
}
