//! From an `[upstream.*]` table to what an upstream is set up with.

use std::num::{NonZeroU32, NonZeroUsize};

use http::HeaderValue;

use crate::config::fault::{Fault, KeyPath};
use crate::config::table::{Balance, HostHeader, Prefix, SendProxy, UpstreamTable};
use crate::endpoint::upstream::{self, Server, Settings};
use crate::stage::path::normalise;
use crate::wire::proxy_protocol::Version;
use crate::wire::tls::connect::Connector;

/// The settings its table, at `at`, asks for; servers with TLS are spoken to with this.
pub(super) fn settings(table: &UpstreamTable, at: &KeyPath, tls: Option<Connector>) -> Result<Settings, Fault> {
    let mut servers = Vec::new();
    for (index, server) in table.servers.iter().enumerate() {
        let parsed = server.url.to_string().parse::<Server>();
        let parsed = parsed.map_err(|why| Fault::said(at.key("servers").index(index), &why))?;
        let weighed = parsed.with_weight(NonZeroU32::new(server.weight.get()).unwrap_or(NonZeroU32::MIN));
        servers.push(if server.drain { weighed.draining() } else { weighed });
    }
    let host_header = match &table.host_header {
        HostHeader::Client => upstream::HostHeader::Client,
        HostHeader::Server => upstream::HostHeader::Server,
        HostHeader::Literal(host) => {
            let value = HeaderValue::from_str(host).map_err(|_| Fault::new(at.key("host_header"), format!("{host:?} is not a host")))?;
            upstream::HostHeader::Fixed(value)
        }
    };
    Ok(Settings {
        servers,
        balance: match table.balance {
            Balance::LeastConn => upstream::Balance::LeastConn,
            Balance::RoundRobin => upstream::Balance::RoundRobin,
            Balance::Random => upstream::Balance::Random,
        },
        sticky: table.sticky.clone(),
        connect_timeout: table.connect_timeout.get(),
        handshake_timeout: table.handshake_timeout.get(),
        tries: NonZeroUsize::new(table.tries.get() as usize).unwrap_or(NonZeroUsize::MIN),
        strip_prefix: table.strip_prefix.as_ref().map(|written| prefix(written, at)).transpose()?,
        host_header,
        proxy_protocol: match table.proxy_protocol {
            SendProxy::Off => None,
            SendProxy::V1 => Some(Version::V1),
            SendProxy::V2 => Some(Version::V2),
        },
        tls,
    })
}

/// The prefix as it is stripped. One in another form than a request's path would never be there.
fn prefix(written: &Prefix, at: &KeyPath) -> Result<Box<str>, Fault> {
    let (at, text) = (at.key("strip_prefix"), written.as_str());
    match normalise(text) {
        Ok(form) if form == text => Ok(text.into()),
        Ok(form) => Err(Fault::new(at, format!("{text:?} is not in the form paths are matched in")).hint(format!("write {form:?}"))),
        Err(why) => Err(Fault::new(at, format!("{text:?} can never be stripped: {why}"))),
    }
}
