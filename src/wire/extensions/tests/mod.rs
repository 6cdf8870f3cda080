//! What each side is told, row by row, and that no answer is one the client's offer forbids.

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use proptest::prelude::*;

use super::parameters::LARGEST_WINDOW;
use super::*;

mod terminated;

fn fields(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap());
    }
    headers
}

fn text(value: Option<HeaderValue>) -> String {
    value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn offered(line: &str, compression: Compression) -> String {
    text(Offer::read(&fields(&[line]), compression).unwrap().header())
}

fn answered(offer: &str, answer: &str, compression: Compression) -> Result<String, &'static str> {
    let offer = Offer::read(&fields(&[offer]), compression).unwrap();
    Ok(text(offer.answer(&fields(&[answer]))?.and_then(|agreed| agreed.header())))
}

const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn a_backend_is_offered_what_the_client_offers_with_messages_that_stand_alone() {
    let rows = [
        ("permessage-deflate", ALONE.to_owned()),
        (ALONE, ALONE.to_owned()),
        ("permessage-deflate; client_max_window_bits", format!("{ALONE}; client_max_window_bits")),
        ("permessage-deflate; client_max_window_bits=12", format!("{ALONE}; client_max_window_bits=12")),
        ("permessage-deflate; server_max_window_bits=10", format!("{ALONE}; server_max_window_bits=10")),
        ("permessage-deflate; server_max_window_bits=\"10\"", format!("{ALONE}; server_max_window_bits=10")),
        ("permessage-deflate ; client_max_window_bits = 15 ,, permessage-deflate", format!("{ALONE}; client_max_window_bits=15, {ALONE}")),
        ("x-webkit-deflate-frame, permessage-deflate", ALONE.to_owned()),
        ("permessage-deflate; mystery, permessage-deflate", ALONE.to_owned()),
        ("permessage-deflate; mystery=1", String::new()),
        ("permessage-deflate; server_no_context_takeover=1", String::new()),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", String::new()),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", String::new()),
        ("permessage-deflate; server_max_window_bits", String::new()),
        ("permessage-deflate; server_max_window_bits=16", String::new()),
        ("permessage-deflate; server_max_window_bits=7", String::new()),
        ("permessage-deflate; server_max_window_bits=09", String::new()),
        ("permessage-deflate; server_max_window_bits=8", String::new()),
        ("permessage-deflate; client_max_window_bits=8", String::new()),
        ("permessage-bzip2", String::new()),
        ("", String::new()),
    ];
    for (line, expected) in rows {
        assert_eq!(offered(line, Compression::Pass), expected, "{line}");
    }
}

#[test]
fn takeover_passes_an_offer_unchanged_and_off_strips_it() {
    let line = "permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=10";
    assert_eq!(offered(line, Compression::Takeover), line);
    assert_eq!(offered(line, Compression::Off), "");
}

#[test]
fn a_field_that_is_no_list_of_extensions_is_malformed() {
    let rows = [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage deflate",
        "a=b",
        "a; b=\"c",
        "a; b=\"c d\"",
        "a; b=\"\"",
        "@",
        "a; b=c=d",
    ];
    for line in rows {
        assert_eq!(Offer::read(&fields(&[line]), Compression::Pass), Err(Malformed), "{line}");
    }
}

#[test]
fn offers_are_read_over_all_lines_and_no_more_than_are_kept() {
    let lines: Vec<&str> = vec!["permessage-deflate"; MAX_OFFERS + 3];
    let offer = Offer::read(&fields(&lines), Compression::Takeover).unwrap();
    assert_eq!(offer.alternatives.len(), MAX_OFFERS);
}

#[test]
fn a_backends_answer_reaches_the_client_with_messages_that_stand_alone() {
    let rows = [
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover", ALONE.to_owned()),
        ("permessage-deflate", ALONE, ALONE.to_owned()),
        ("permessage-deflate", "", String::new()),
        ("permessage-deflate; mystery", "", String::new()),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=8",
            format!("{ALONE}; client_max_window_bits=8"),
        ),
        (
            "permessage-deflate; server_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
            format!("{ALONE}; server_max_window_bits=10"),
        ),
        (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            format!("{ALONE}; server_max_window_bits=12"),
        ),
        (
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
            ALONE.to_owned(),
        ),
    ];
    for (offer, answer, expected) in rows {
        assert_eq!(answered(offer, answer, Compression::Pass), Ok(expected), "{offer} / {answer}");
    }
}

#[test]
fn an_answer_with_what_nobody_offered_is_refused() {
    let unoffered = "parameters of permessage-deflate that nobody offered";
    let malformed = "malformed parameters of permessage-deflate";
    let rows = [
        ("", "permessage-deflate", "permessage-deflate, which nobody offered"),
        ("permessage-deflate; mystery", ALONE, "permessage-deflate, which nobody offered"),
        ("permessage-deflate", "x-other", "an extension nobody offered"),
        ("permessage-deflate", "permessage-deflate, permessage-deflate", "more than one extension"),
        ("permessage-deflate", "permessage-deflate;;", "a malformed Sec-WebSocket-Extensions"),
        ("permessage-deflate", "permessage-deflate", unoffered),
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover", unoffered),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_max_window_bits=10", unoffered),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=11",
            unoffered,
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
            unoffered,
        ),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_no_context_takeover", unoffered),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; server_no_context_takeover; client_max_window_bits", malformed),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; server_max_window_bits=16", malformed),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; mystery", malformed),
    ];
    for (offer, answer, expected) in rows {
        assert_eq!(answered(offer, answer, Compression::Pass), Err(expected), "{offer} / {answer}");
    }
}

#[test]
fn under_takeover_an_answer_passes_as_the_backend_gave_it() {
    let rows = [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_no_context_takeover", "permessage-deflate"),
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
    ];
    for (offer, answer) in rows {
        assert_eq!(answered(offer, answer, Compression::Takeover), Ok(answer.to_owned()), "{offer} / {answer}");
    }
}

/// One parameter of an offer or answer: its name, and what may stand behind it.
fn parameter() -> impl Strategy<Value = String> {
    let bits = prop_oneof![Just(String::new()), (7..=16u8).prop_map(|bits| format!("={bits}"))];
    prop_oneof![
        Just("server_no_context_takeover".to_owned()),
        Just("client_no_context_takeover".to_owned()),
        bits.clone().prop_map(|bits| format!("server_max_window_bits{bits}")),
        bits.prop_map(|bits| format!("client_max_window_bits{bits}")),
    ]
}

fn deflate() -> impl Strategy<Value = String> {
    prop::collection::vec(parameter(), 0..4).prop_map(|list| [vec!["permessage-deflate".to_owned()], list].concat().join("; "))
}

/// The value of a parameter in a written extension: none where it is missing, empty where it has none.
fn value<'a>(extension: &'a str, name: &str) -> Option<&'a str> {
    extension.split("; ").find_map(|parameter| parameter.strip_prefix(name)).map(|value| value.trim_start_matches('='))
}

/// RFC 7692 §7.1, read by a client that made this offer.
fn is_legal(offer: &str, answer: &str) -> bool {
    let number = |text: &str| text.parse::<u8>().unwrap_or(LARGEST_WINDOW);
    let takeover = value(offer, "server_no_context_takeover").is_none() || value(answer, "server_no_context_takeover").is_some();
    let server = match (value(offer, "server_max_window_bits"), value(answer, "server_max_window_bits")) {
        (Some(most), Some(bits)) => number(bits) <= number(most),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let client = match (value(offer, "client_max_window_bits"), value(answer, "client_max_window_bits")) {
        (Some(most), Some(bits)) => number(bits) <= number(most),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    takeover && server && client
}

proptest! {
    #[test]
    fn what_a_client_receives_is_a_legal_answer_to_what_it_offered(
        offers in prop::collection::vec(deflate(), 1..4),
        answer in deflate(),
        passes in any::<bool>(),
    ) {
        let compression = if passes { Compression::Pass } else { Compression::Takeover };
        if let Ok(told) = answered(&offers.join(", "), &answer, compression) {
            prop_assert!(offers.iter().any(|offer| is_legal(offer, &told)), "{told}");
            if passes {
                prop_assert!(told.starts_with(ALONE), "{told}");
            }
        }
    }

    #[test]
    fn no_field_makes_reading_fail_otherwise(line in "[ -~\t]{0,60}") {
        let _ = Offer::read(&fields(&[&line]), Compression::Pass);
    }
}
