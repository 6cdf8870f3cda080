//! What clients are answered where the gateway itself is the server, and how either side then compresses.

use super::super::super::deflate::Window;
use super::*;
use crate::stage::Side;

const PMD: &str = "permessage-deflate";

/// As Autobahn's fuzzing client writes an offer: what it accepts of a server first, then what it asks of it.
fn autobahn(asks: &str) -> String {
    format!("{PMD}; client_no_context_takeover; client_max_window_bits{asks}")
}

fn accepted(offers: &str, compression: Compression) -> Option<Deflate> {
    Offer::read(&fields(&[offers]), compression).unwrap().accept()
}

fn told(offers: &str, compression: Compression) -> String {
    text(accepted(offers, compression).and_then(|agreed| agreed.header()))
}

fn alone(bits: u8) -> Window {
    Window::new(bits, false)
}

fn kept(bits: u8) -> Window {
    Window::new(bits, true)
}

/// What a client is answered under `takeover`, with the windows of the client and of the server, and that `pass` answers the same but
/// for messages that stand alone, and `off` nothing.
fn holds(who: &str, offers: &str, answer: &str, client: Window, server: Window) {
    let agreed = accepted(offers, Compression::Takeover).unwrap();
    assert_eq!(text(agreed.header()), answer, "{who}");
    assert_eq!((agreed.window(Side::Client), agreed.window(Side::Upstream)), (client, server), "{who}");

    let agreed = accepted(offers, Compression::Pass).unwrap();
    let limits: Vec<&str> = answer.split("; ").filter(|parameter| parameter.contains("bits")).collect();
    assert_eq!(text(agreed.header()), [&[ALONE], &limits[..]].concat().join("; "), "{who}");
    assert!(!agreed.window(Side::Client).is_kept() && !agreed.window(Side::Upstream).is_kept(), "{who}");

    assert_eq!(accepted(offers, Compression::Off), None, "{who}");
}

#[test]
fn browsers_and_libraries_get_what_they_offer() {
    let limited = format!("{ALONE}; server_max_window_bits=10; client_max_window_bits=11");
    let small = format!("{PMD}; server_max_window_bits=12; client_max_window_bits=12");
    let rows = [
        ("Chrome, Edge, Python's websockets, npm's ws", "permessage-deflate; client_max_window_bits", PMD, kept(15), kept(15)),
        ("Firefox, Safari", PMD, PMD, kept(15), kept(15)),
        ("Go's gorilla and coder", ALONE, ALONE, alone(15), alone(15)),
        ("ws with all its options", &limited, &limited, alone(11), alone(10)),
        ("websockets with small windows", &small, &small, kept(12), kept(12)),
    ];
    for (who, offers, answer, client, server) in rows {
        holds(who, offers, answer, client, server);
    }
}

#[test]
fn autobahns_13th_chapter_gets_what_it_offers() {
    let client_alone = format!("{PMD}; client_no_context_takeover");
    let (small, large) = ("; server_max_window_bits=9", "; server_max_window_bits=15");
    let (none, both) = ("; server_no_context_takeover", "; server_no_context_takeover; server_max_window_bits=9");
    let rows = [
        ("12.x and 13.1", autobahn(""), client_alone.clone(), kept(15)),
        ("13.2", autobahn(none), ALONE.to_owned(), alone(15)),
        ("13.3", autobahn(small), format!("{client_alone}{small}"), kept(9)),
        ("13.4", autobahn(large), format!("{client_alone}{large}"), kept(15)),
        ("13.5", autobahn(both), format!("{ALONE}{small}"), alone(9)),
        ("13.6", autobahn(&format!("{none}{large}")), format!("{ALONE}{large}"), alone(15)),
        ("13.7", [autobahn(both), autobahn(none), autobahn("")].join(", "), format!("{ALONE}{small}"), alone(9)),
    ];
    for (which, offers, answer, server) in rows {
        holds(which, &offers, &answer, alone(15), server);
    }
}

#[test]
fn an_alternative_that_cannot_be_accepted_leaves_the_next_one() {
    let small = format!("{PMD}; server_max_window_bits=8");
    let declined = [
        small.as_str(),
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; mystery",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
    ];
    for offer in declined {
        assert_eq!(told(offer, Compression::Takeover), "", "{offer}");
        assert_eq!(
            told(&format!("{offer}, {PMD}; server_max_window_bits=10, {PMD}"), Compression::Takeover),
            format!("{PMD}; server_max_window_bits=10")
        );
    }
    // Autobahn 13.7 as older suites have it.
    let older =
        [autobahn("; server_no_context_takeover; server_max_window_bits=8"), autobahn("; server_no_context_takeover"), autobahn("")];
    assert_eq!(told(&older.join(", "), Compression::Takeover), ALONE);
}

#[test]
fn a_window_that_a_backend_makes_smaller_is_known_of_either_side() {
    let offer = Offer::read(&fields(&["permessage-deflate; client_max_window_bits"]), Compression::Pass).unwrap();
    let answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_max_window_bits=8";
    let agreed = offer.answer(&fields(&[answer])).unwrap().unwrap();
    assert_eq!(agreed.window(Side::Upstream), Window::new(11, false));
    assert_eq!(agreed.window(Side::Client), Window::new(8, false));
}

proptest! {
    #[test]
    fn what_the_gateway_accepts_is_a_legal_answer_to_the_first_offer_it_can_accept(
        offers in prop::collection::vec(deflate(), 1..4),
        passes in any::<bool>(),
    ) {
        let compression = if passes { Compression::Pass } else { Compression::Takeover };
        let each: Vec<String> = offers.iter().map(|offer| told(offer, compression)).collect();
        let first = each.iter().position(|told| !told.is_empty());
        let told = told(&offers.join(", "), compression);
        prop_assert_eq!(first.map_or("", |at| each[at].as_str()), told.as_str());
        if let Some(at) = first {
            prop_assert!(is_legal(&offers[at], &told), "{} / {}", offers[at], told);
            prop_assert_ne!(value(&told, "client_max_window_bits"), Some(""), "{}", told);
            prop_assert!(!passes || told.starts_with(ALONE), "{}", told);
        }
    }
}
