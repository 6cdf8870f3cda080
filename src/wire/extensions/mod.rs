//! Negotiates permessage-deflate (RFC 7692 §7.1): between a client and a backend, and with a client that the gateway answers itself.
//!
//! On a relayed connection both ends compress and inflate, and the gateway passes their messages on. It takes part in the handshake
//! for one reason: with `server_no_context_takeover` and `client_no_context_takeover` agreed, every message stands alone, and can be
//! dropped or read from a copy. RFC 7692 §7.1.1 permits adding the one to an offer and the other to an answer.

mod list;
mod parameters;

use http::HeaderValue;
use http::header::HeaderMap;

pub use list::Malformed;
pub use parameters::Deflate;

/// The only extension that may stand on a relayed connection: any other could change what a frame means.
const NAME: &str = "permessage-deflate";
/// Alternatives of one client that are looked at; the rest, which it likes less, is left out.
const MAX_OFFERS: usize = 8;

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

/// What a client offers, as far as it is acceptable: its alternatives, the one it likes best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    alternatives: Vec<Deflate>,
    /// Whether every message is to stand alone.
    alone: bool,
}

impl Offer {
    /// Reads a client's offers, keeps those of permessage-deflate that are well-formed, and under [`Compression::Pass`] asks for
    /// messages that stand alone. An offer with a window of 8 bits is declined.
    ///
    /// # Errors
    /// [`Malformed`], where the field is no list of extensions.
    pub fn read(headers: &HeaderMap, compression: Compression) -> Result<Self, Malformed> {
        let offers = list::read(headers)?;
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

    /// What the client is answered where the gateway itself is the server: its first alternative that can be accepted (RFC 7692 §5).
    /// How either side then compresses is [`Deflate::window`].
    pub fn accept(&self) -> Option<Deflate> {
        self.alternatives.first().copied().map(Deflate::accepted)
    }

    /// What the client is answered on a relayed connection, given the fields of the backend's answer: nothing where the backend declined.
    ///
    /// The answer is a legal one to what the client itself offered. Under [`Compression::Pass`] messages stand alone both ways,
    /// whether or not the backend asks that of the client.
    ///
    /// # Errors
    /// Which rule the backend broke, for the log.
    pub fn answer(&self, headers: &HeaderMap) -> Result<Option<Deflate>, &'static str> {
        let answers = list::read(headers).map_err(|Malformed| "a malformed Sec-WebSocket-Extensions")?;
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

#[cfg(test)]
mod tests;
