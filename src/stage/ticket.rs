//! Tickets: what names a live connection to whoever has opened it, and to nobody else.

use std::fmt::Write;

use http::request::Parts;

use super::fingerprint::Fingerprint;
use super::query;
use super::refusal::{BAD_HANDSHAKE, METHOD_NOT_ALLOWED, Refusal, Verdict};

/// The parameter of a query that a client chooses its ticket by: a browser can read no header of its upgrade response.
pub const PARAMETER: &str = "wsgate_ticket";
/// The header that a client is given one in otherwise, and shows it in.
pub const HEADER: &str = "x-wsgate-ticket";

/// Where renewals by tickets are asked for, on listeners with a stage that takes them: before any route.
pub const PATH: &str = "/.well-known/wsgate/renew";

/// The fewest characters of base64url that 128 bits stand in.
const BASE64: usize = 22;
/// The same of hexadecimal digits.
const HEX: usize = 32;
/// The most characters of a ticket.
const MOST: usize = 128;

/// What there is to say to a request for [`PATH`] that asks for something else.
pub fn only_post() -> Box<Refusal> {
    let reason = "only POST is answered here".into();
    Box::new(Refusal { reason, ..Refusal::new(METHOD_NOT_ALLOWED).rule("the gateway takes this path itself, for renewals by tickets") })
}

/// A ticket, as its fingerprint: it names its connection, and nobody reads it back or learns from the time that a comparison takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Fingerprint);

impl Ticket {
    /// The ticket that somebody has written.
    ///
    /// # Errors
    /// Why it can be none: it could be guessed, as far as its length tells.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let least = if is_hex(text) { HEX } else { BASE64 };
        match text {
            _ if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') => {
                Err("a ticket is base64url or hexadecimal")
            }
            _ if text.len() < least => Err("a ticket has 128 random bits or more"),
            _ if text.len() > MOST => Err("a ticket has 128 characters at most"),
            // RFC 9562 §5.4: 122 random bits, of version 4; of others there are fewer.
            _ if text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && is_hex(&text.replace('-', "")) => {
                Err("a UUID is no ticket: it has fewer than 128 random bits")
            }
            _ => Ok(Self(Fingerprint::of(text))),
        }
    }
}

/// Left in a request's extensions by a stage that renews by tickets.
#[derive(Clone)]
pub struct Issued {
    /// The connection's, once it is open.
    pub ticket: Ticket,
    /// What the client is given; none where it has chosen its own.
    pub given: Option<Box<str>>,
}

/// Takes the ticket out of a request that its client has chosen, or makes one up; once, whichever stages ask.
///
/// # Errors
/// `BAD_HANDSHAKE` where what was chosen is no ticket.
pub fn issue(request: &mut Parts) -> Verdict {
    let chosen = query::take(request, PARAMETER);
    if request.extensions.get::<Issued>().is_some() && chosen.is_empty() {
        return Ok(());
    }
    let refused = |why: &'static str| {
        let reason = format!("{}: {why}", BAD_HANDSHAKE.reason).into();
        Box::new(Refusal { reason, ..Refusal::new(BAD_HANDSHAKE).rule(why).at("renew.ticket") })
    };
    let issued = match &*chosen {
        [] => {
            let mut text = String::with_capacity(HEX);
            write!(text, "{:032x}", rand::random::<u128>()).expect("a string takes what is written");
            Issued { ticket: Ticket(Fingerprint::of(&*text)), given: Some(text.into()) }
        }
        [one] => Issued { ticket: Ticket::read(&String::from_utf8_lossy(one)).map_err(refused)?, given: None },
        _ => return Err(refused("more than one ticket")),
    };
    request.extensions.insert(issued);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Parts {
        http::Request::get(target).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_ticket_that_could_be_guessed_is_none() {
        let short = Err("a ticket has 128 random bits or more");
        for (text, read) in [
            ("Vq3hX0cQ2mJr8bYt5nWz1A", Ok(())),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", Ok(())),
            ("Vq3hX0cQ2mJr8bYt5nWz1", short),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f", short),
            ("", short),
            ("8c6f8f1e-3a5c-4c1c-9d0b-6f2b6a1f0c3d", Err("a UUID is no ticket: it has fewer than 128 random bits")),
            ("Vq3hX0cQ2mJr8bYt5nWz1A==", Err("a ticket is base64url or hexadecimal")),
            ("Vq3hX0cQ2mJr8bYt5nWz1A\u{e4}", Err("a ticket is base64url or hexadecimal")),
        ] {
            assert_eq!(Ticket::read(text).map(drop), read, "{text}");
        }
        assert!(Ticket::read(&"aB-_".repeat(32)).is_ok() && Ticket::read(&"aB-_".repeat(33)).is_err());
    }

    #[test]
    fn what_was_chosen_is_taken_out_and_what_was_not_is_made_up() {
        let mut chosen = request("/chat?room=1&wsgate_ticket=Vq3hX0cQ2mJr8bYt5nWz1A&x=%20");
        issue(&mut chosen).unwrap();
        assert_eq!(chosen.uri, "/chat?room=1&x=%20");
        // The next stage that asks finds it as it is.
        issue(&mut chosen).unwrap();
        let issued = chosen.extensions.get::<Issued>().unwrap();
        assert_eq!((issued.ticket, issued.given.is_none()), (Ticket::read("Vq3hX0cQ2mJr8bYt5nWz1A").unwrap(), true));

        let given = |_| {
            let mut request = request("/chat");
            issue(&mut request).unwrap();
            request.extensions.get::<Issued>().unwrap().clone()
        };
        let [one, other] = [(); 2].map(given);
        assert_eq!(Ticket::read(one.given.as_deref().unwrap()), Ok(one.ticket));
        assert_ne!(one.ticket, other.ticket);
    }

    #[test]
    fn a_bad_choice_is_a_bad_handshake_and_taken_out_all_the_same() {
        for target in
            ["/?wsgate_ticket=short", "/?wsgate%5fticket=", "/?wsgate_ticket=Vq3hX0cQ2mJr8bYt5nWz1A&wsgate_ticket=Vq3hX0cQ2mJr8bYt5nWz1A"]
        {
            let mut request = request(target);
            assert_eq!(issue(&mut request).unwrap_err().outcome, BAD_HANDSHAKE, "{target}");
            assert_eq!(request.uri, "/", "{target}");
        }
    }
}
