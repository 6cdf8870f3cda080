//! What a config asks of the machine it is read on: variables, files, names of hosts.

use std::env::VarError;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;

/// Where a config is read. All that is looked up beyond its own text is looked up here: a config is checked without a machine by
/// [`Offline`], and can be compiled against answers that were recorded elsewhere.
///
/// `None` is no answer: what depends on it is told as [unknown](super::fault::Severity::Unknown), and no gateway is made of it.
pub trait World {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<Result<String, VarError>>;

    /// All that a file holds.
    fn file(&self, path: &Path) -> Option<io::Result<Vec<u8>>>;

    /// What stands at a path.
    fn standing(&self, path: &Path) -> Option<Standing>;

    /// The addresses of a host, each with this port.
    fn addresses(&self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>>;

    /// The certificates of the authorities that are trusted here to say who servers are, in DER; those that can be read.
    fn authorities(&self) -> Option<Vec<Vec<u8>>>;
}

/// What stands at a path, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// A file, or what is written to like one.
    File,
}

/// This machine, and this process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

/// Nowhere: nothing is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl World for Machine {
    fn variable(&self, name: &str) -> Option<Result<String, VarError>> {
        Some(std::env::var(name))
    }

    fn file(&self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        Some(read(path))
    }

    fn standing(&self, path: &Path) -> Option<Standing> {
        Some(match path.metadata() {
            Ok(found) if found.is_dir() => Standing::Folder,
            Ok(_) => Standing::File,
            Err(_) => Standing::Nothing,
        })
    }

    fn addresses(&self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        Some((host, port).to_socket_addrs().map(|found| usable(found.collect())))
    }

    fn authorities(&self) -> Option<Vec<Vec<u8>>> {
        Some(rustls_native_certs::load_native_certs().certs.iter().map(|certificate| certificate.to_vec()).collect())
    }
}

/// The largest file that a part is made from, in bytes: millions of networks, one a line.
pub const MAX_INPUT: u64 = 256 << 20;

/// Reads a file that is one: a pipe or a device would be waited for, or never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let other = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what.to_owned()));
    if !path.metadata()?.is_file() {
        return other("it is not a file");
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT { other(&format!("it is larger than {} MiB", MAX_INPUT >> 20)) } else { Ok(bytes) }
}

/// Those that this machine can have: in many containers `localhost` is `::1` as well, and there is no IPv6. Where it is all that a name
/// has, using it tells what is missing.
fn usable(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let has_ipv6 = || UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if found.iter().any(SocketAddr::is_ipv4) && found.iter().any(SocketAddr::is_ipv6) && !has_ipv6() {
        found.retain(SocketAddr::is_ipv4);
    }
    found
}

impl World for Offline {
    fn variable(&self, _: &str) -> Option<Result<String, VarError>> {
        None
    }

    fn file(&self, _: &Path) -> Option<io::Result<Vec<u8>>> {
        None
    }

    fn standing(&self, _: &Path) -> Option<Standing> {
        None
    }

    fn addresses(&self, _: &str, _: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        None
    }

    fn authorities(&self) -> Option<Vec<Vec<u8>>> {
        None
    }
}

/// Variables and nothing else, for tests.
#[cfg(test)]
pub(super) struct Variables<F>(pub(super) F);

#[cfg(test)]
impl<F: Fn(&str) -> Result<String, VarError>> World for Variables<F> {
    fn variable(&self, name: &str) -> Option<Result<String, VarError>> {
        Some(self.0(name))
    }

    fn file(&self, _: &Path) -> Option<io::Result<Vec<u8>>> {
        None
    }

    fn standing(&self, _: &Path) -> Option<Standing> {
        None
    }

    fn addresses(&self, _: &str, _: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        None
    }

    fn authorities(&self) -> Option<Vec<Vec<u8>>> {
        None
    }
}
