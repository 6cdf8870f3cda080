//! Which headers of a request the file may have written or removed.

use http::HeaderName;

use crate::config::table::ClaimHeader;
use crate::stage::fields::is_spoofable;

/// Fields that concern one connection and never the next (RFC 9110 §7.6.1), besides those that make a handshake.
const ONE_HOP: [&str; 6] = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "expect", "http2-settings"];

/// Reads the name of a header that a backend may be told by the file.
///
/// # Errors
/// Says what is wrong with it, and what would mend it.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    let written = text.parse::<ClaimHeader>()?;
    let name = written.as_str();
    if is_spoofable(name) {
        return Err(format!("the header {text} is the gateway's own to write: it tells the client's address and host as they are"));
    }
    if ONE_HOP.contains(&name) {
        return Err(format!("the header {text} belongs to one connection; it never goes on to a backend"));
    }
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{text:?} is not the name of a header"))
}
