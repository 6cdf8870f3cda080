//! The parameters of permessage-deflate (RFC 7692 §7.1).

use std::fmt;

use http::HeaderValue;

use crate::stage::Side;

use super::super::deflate::{Codec, Window};
use super::NAME;
use super::list::Extension;

/// The smallest window an offer may ask for: what compresses with 8 bits is not zlib, and few read it.
const SMALLEST_WINDOW: u8 = 9;
/// The largest window (RFC 7692 §7.1.2), and the one of a side that no limit was agreed for.
pub(super) const LARGEST_WINDOW: u8 = 15;

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

impl ClientWindow {
    fn limit(self) -> Option<u8> {
        match self {
            Self::AtMost(bits) => Some(bits),
            Self::Unnamed | Self::Any => None,
        }
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

    /// How far back the compressed messages of this side may refer, once agreed.
    pub fn window(&self, from: Side) -> Window {
        let (bits, is_alone) = match from {
            Side::Upstream => (self.server_max_window_bits, self.server_no_context_takeover),
            Side::Client => (self.client_max_window_bits.limit(), self.client_no_context_takeover),
        };
        Window::new(bits.unwrap_or(LARGEST_WINDOW), !is_alone)
    }

    /// What the server's end of it reads and sends with.
    pub fn codec(&self) -> Codec {
        Codec::new(self.window(Side::Client), self.window(Side::Upstream))
    }

    /// The answer to this offer that grants all it asks for. That a client would take any limit is not repeated: an answer names a
    /// limit or is silent (§7.1.2.2), and there is no need for one.
    pub(super) fn accepted(self) -> Self {
        let client_max_window_bits = self.client_max_window_bits.limit().map_or(ClientWindow::Unnamed, ClientWindow::AtMost);
        Self { client_max_window_bits, ..self }
    }

    pub(super) fn offered(offer: &Extension<'_>) -> Option<Self> {
        Self::read(offer, SMALLEST_WINDOW)
    }

    /// A backend may pick 8 bits where the client leaves the window to it; whoever inflates with a larger window reads that too.
    pub(super) fn answered(answer: &Extension<'_>) -> Option<Self> {
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

    pub(super) fn standing_alone(self) -> Self {
        Self { server_no_context_takeover: true, client_no_context_takeover: true, ..self }
    }

    /// Whether this answer to this offer is one that RFC 7692 §7.1 allows.
    pub(super) fn permits(&self, answer: Self) -> bool {
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
