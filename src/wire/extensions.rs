//! Negotiates permessage-deflate between a client and a backend (RFC 7692 §7.1) so that the gateway may look into what they send.
//!
//! Both ends compress and inflate; the gateway passes their messages on. It takes part in the handshake for one reason: with
//! `server_no_context_takeover` and `client_no_context_takeover` agreed, every message stands alone, and can be dropped or read
//! from a copy. RFC 7692 §7.1.1 permits adding the one to an offer and the other to an answer.

use std::fmt;

use http::header::{self, HeaderMap, HeaderValue};

use super::fields::is_token_byte;

/// The only extension that may stand on a relayed connection: any other could change what a frame means.
const NAME: &str = "permessage-deflate";
/// Alternatives of one client that are passed on; the rest, which it likes less, is left out.
const MAX_OFFERS: usize = 8;
/// The smallest window an offer may ask for: what compresses with 8 bits is not zlib, and few read it.
const SMALLEST_WINDOW: u8 = 9;
/// The largest window (RFC 7692 §7.1.2).
const LARGEST_WINDOW: u8 = 15;

/// What a route lets clients and backends agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// permessage-deflate, every message on its own.
    #[default]
    Pass,
    /// permessage-deflate as the two like it: messages may depend on those before, so none can be dropped or read.
    Takeover,
    /// None.
    Off,
}

/// Field lines that are no list of extensions (RFC 6455 §9.1); a handshake with such a field fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What a client offers, as far as it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    alternatives: Vec<Deflate>,
    /// Whether every message is to stand alone.
    alone: bool,
}

/// The parameters of permessage-deflate, offered or agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflate {
    /// The server begins every message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientWindow,
}

/// A client may let the server limit its window without naming a limit itself (RFC 7692 §7.1.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClientWindow {
    #[default]
    Unnamed,
    Any,
    AtMost(u8),
}

impl Offer {
    /// Reads a client's offers, keeps those of permessage-deflate that are well-formed, and under [`Compression::Pass`] asks for
    /// messages that stand alone. An offer with a window of 8 bits is declined.
    ///
    /// # Errors
    /// [`Malformed`], where the field is no list of extensions.
    pub fn read(headers: &HeaderMap, compression: Compression) -> Result<Self, Malformed> {
        let offers = read(headers)?;
        let deflates = offers.iter().filter(|offer| offer.name == NAME).filter_map(Deflate::offered);
        let alternatives = match compression {
            Compression::Off => Vec::new(),
            Compression::Takeover => deflates.take(MAX_OFFERS).collect(),
            Compression::Pass => deflates.take(MAX_OFFERS).map(Deflate::standing_alone).collect(),
        };
        Ok(Self { alternatives, alone: compression == Compression::Pass })
    }

    /// What the backend is offered.
    pub fn header(&self) -> Option<HeaderValue> {
        let text: Vec<String> = self.alternatives.iter().map(Deflate::to_string).collect();
        if text.is_empty() { None } else { HeaderValue::try_from(text.join(", ")).ok() }
    }

    /// What the client is answered, given the fields of the backend's answer: nothing where the backend declined.
    ///
    /// The answer is a legal one to what the client itself offered. Under [`Compression::Pass`] messages stand alone both ways,
    /// whether or not the backend asks that of the client.
    ///
    /// # Errors
    /// Which rule the backend broke, for the log.
    pub fn answer(&self, headers: &HeaderMap) -> Result<Option<Deflate>, &'static str> {
        let answers = read(headers).map_err(|Malformed| "a malformed Sec-WebSocket-Extensions")?;
        let answer = match answers.as_slice() {
            [] => return Ok(None),
            [answer] if answer.name == NAME && !self.alternatives.is_empty() => answer,
            [one] if one.name == NAME => return Err("permessage-deflate, which nobody offered"),
            [_] => return Err("an extension nobody offered"),
            _ => return Err("more than one extension"),
        };
        let answer = Deflate::answered(answer).ok_or("malformed parameters of permessage-deflate")?;
        if !self.alternatives.iter().any(|offer| offer.permits(answer)) {
            return Err("parameters of permessage-deflate that nobody offered");
        }
        Ok(Some(if self.alone { answer.standing_alone() } else { answer }))
    }
}

impl Deflate {
    /// As the client is told it.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }

    /// Whether messages may depend on those before them, of either side.
    pub fn has_takeover(self) -> bool {
        !(self.server_no_context_takeover && self.client_no_context_takeover)
    }

    fn offered(offer: &Extension<'_>) -> Option<Self> {
        Self::read(offer, SMALLEST_WINDOW)
    }

    /// A backend may pick 8 bits where the client leaves the window to it; whoever inflates with a larger window reads that too.
    fn answered(answer: &Extension<'_>) -> Option<Self> {
        Self::read(answer, 8).filter(|deflate| deflate.client_max_window_bits != ClientWindow::Any)
    }

    /// Each parameter at most once, known, and with a value where it takes one (RFC 7692 §7.1).
    fn read(extension: &Extension<'_>, smallest: u8) -> Option<Self> {
        let mut deflate = Self::default();
        for (name, value) in &extension.parameters {
            let bits = || value.as_deref().and_then(|value| window_bits(value, smallest));
            let is_new = match (*name, value.is_some()) {
                ("server_no_context_takeover", false) => !std::mem::replace(&mut deflate.server_no_context_takeover, true),
                ("client_no_context_takeover", false) => !std::mem::replace(&mut deflate.client_no_context_takeover, true),
                ("server_max_window_bits", true) => deflate.server_max_window_bits.replace(bits()?).is_none(),
                ("client_max_window_bits", has_value) => {
                    let window = if has_value { ClientWindow::AtMost(bits()?) } else { ClientWindow::Any };
                    std::mem::replace(&mut deflate.client_max_window_bits, window) == ClientWindow::Unnamed
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(deflate)
    }

    fn standing_alone(self) -> Self {
        Self { server_no_context_takeover: true, client_no_context_takeover: true, ..self }
    }

    /// Whether this answer to this offer is one that RFC 7692 §7.1 allows.
    fn permits(&self, answer: Self) -> bool {
        // §7.1.1.1: accepting the offer is repeating the parameter. §7.1.1.2: the client's own is a hint either way.
        let takeover = answer.server_no_context_takeover || !self.server_no_context_takeover;
        // §7.1.2.1: the same or a smaller window; unasked, any.
        let server = self.server_max_window_bits.is_none_or(|most| answer.server_max_window_bits.is_some_and(|bits| bits <= most));
        // §7.1.2.2: only where the offer has the parameter.
        let client = match (answer.client_max_window_bits, self.client_max_window_bits) {
            (ClientWindow::Unnamed, _) | (_, ClientWindow::Any) => true,
            (ClientWindow::AtMost(bits), ClientWindow::AtMost(most)) => bits <= most,
            _ => false,
        };
        takeover && server && client
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            ClientWindow::Unnamed => Ok(()),
            ClientWindow::Any => f.write_str("; client_max_window_bits"),
            ClientWindow::AtMost(bits) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

/// Decimal, without leading zeros.
fn window_bits(text: &str, smallest: u8) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (smallest..=LARGEST_WINDOW).contains(bits))?;
    (bits.to_string() == text).then_some(bits)
}

/// One extension of a list, as written.
#[derive(Debug)]
struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<String>)>,
}

/// Reads the field over all its lines (RFC 6455 §9.1).
fn read(headers: &HeaderMap) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut extensions = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let mut cursor = Cursor { rest: line.to_str().map_err(|_| Malformed)? };
        loop {
            while cursor.skip(',') {}
            if cursor.is_at_end() {
                break;
            }
            extensions.push(cursor.extension()?);
            if !cursor.is_at_end() && !cursor.skip(',') {
                return Err(Malformed);
            }
        }
    }
    Ok(extensions)
}

/// Reads through one field line. Blanks may stand between any two tokens.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.skip(';') {
            let name = self.token()?;
            let value = if self.skip('=') { Some(self.value()?) } else { None };
            parameters.push((name, value));
        }
        Ok(Extension { name, parameters })
    }

    /// A token, or a quoted string whose content is one.
    fn value(&mut self) -> Result<String, Malformed> {
        if !self.skip('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.rest.chars();
        loop {
            let character = match characters.next().ok_or(Malformed)? {
                '"' => break,
                '\\' => characters.next().ok_or(Malformed)?,
                character => character,
            };
            value.push(character);
        }
        self.rest = characters.as_str();
        if super::fields::is_token(value.as_bytes()) { Ok(value) } else { Err(Malformed) }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_blanks();
        let end = self.rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).ok_or(Malformed)?;
        self.rest = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    /// Whether this character came next; it is behind the cursor then.
    fn skip(&mut self, character: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

#[cfg(test)]
mod tests;
