//! The config of a page, served: its listeners on ports the system picks, its servers stood in for, and the files it reads in place.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::support::{Gateway, SECRET, backend, in_time};
use super::{blocks, package};

/// The addresses of the servers that pages have.
const SERVERS: [&str; 3] = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];

/// The files that configs of pages read, besides those of the example configs.
const FILES: [(&str, &str); 8] = [
    ("deny.txt", "192.0.2.0/24\n"),
    ("secrets/jwt", SECRET),
    ("secrets/jwt-old", "another-secret-of-a-proper-length-0123456789"),
    ("tls/fullchain.pem", include_str!("../keys/tls.pem")),
    ("tls/privkey.pem", include_str!("../keys/tls.key")),
    ("tls/devices-ca.pem", include_str!("../keys/tls-ca.pem")),
    ("tls/gateway.pem", include_str!("../keys/tls.pem")),
    ("tls/gateway.key", include_str!("../keys/tls.key")),
];

/// A page's config, being served.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    /// The file it is served by.
    pub(crate) config: String,
    /// The addresses of listeners, as the page has them and as they are.
    addresses: Vec<(String, SocketAddr)>,
    /// What servers have been asked, with their addresses as the page has them.
    requests: mpsc::Receiver<(&'static str, http::Request<()>)>,
}

/// The config a page is about: the first TOML of the page of a kind, or of a situation; elsewhere the file that ships.
pub(crate) fn config(page: &Path, text: &str) -> String {
    if page.starts_with("docs/kinds") || page.starts_with("docs/cookbook") {
        blocks(text, "toml").remove(0)
    } else {
        fs::read_to_string(package().join("gateway.toml")).unwrap()
    }
}

/// The config of a page in `docs/`.
pub(crate) fn config_of(page: &str) -> String {
    config(Path::new(page), &fs::read_to_string(package().join(page)).unwrap())
}

/// A folder with every file that a page's config may read.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in fs::read_dir(package().join("examples/configs")).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension != "toml") {
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    for (name, content) in FILES {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    folder
}

/// Every address that tables of this kind name, with the tables' names.
fn addresses(config: &str, kind: &str) -> Vec<(String, String)> {
    let config: toml::Table = config.parse().unwrap();
    let tables = config.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
    let found = tables.flat_map(|(name, table)| {
        let addresses = match &table["address"] {
            toml::Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        addresses.into_iter().map(|address| (name.clone(), address.as_str().unwrap().to_owned()))
    });
    found.collect()
}

/// The same address of this machine, with a port the system picks.
fn anywhere(address: &str) -> &'static str {
    if address.starts_with("[::1]") { "[::1]:0" } else { "127.0.0.1:0" }
}

impl Served {
    pub(crate) async fn new(config: &str) -> Self {
        let (listeners, mut served) = (addresses(config, "listener"), config.to_owned());
        for (_, address) in listeners.iter().chain(&addresses(config, "metrics")) {
            served = served.replace(&format!("\"{address}\""), &format!("\"{}\"", anywhere(address)));
        }
        let (sender, requests) = mpsc::channel(64);
        for server in SERVERS {
            let (address, mut asked) = backend::echo().await;
            served = served.replace(server, &address.to_string());
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(request) = asked.recv().await {
                    _ = sender.try_send((server, request));
                }
            });
        }
        let gateway = Gateway::run_in(folder(), &served);
        let mut addresses: Vec<(String, SocketAddr)> = Vec::new();
        for (name, address) in listeners {
            // As clients of this machine ask for it; of several the first.
            let known = address.replace("0.0.0.0", "127.0.0.1");
            let is_first = !addresses.iter().any(|(_, there)| *there == gateway.address(&name));
            addresses.extend(is_first.then(|| (known, gateway.address(&name))));
        }
        Self { gateway, config: served, addresses, requests }
    }

    /// The next request that a server gets, and which.
    pub(crate) async fn asked(&mut self) -> (&'static str, http::Request<()>) {
        in_time(self.requests.recv()).await.unwrap()
    }

    /// A line with the addresses that are.
    pub(crate) fn there(&self, line: &str) -> String {
        self.addresses.iter().fold(line.to_owned(), |line, (known, address)| line.replace(known, &address.to_string()))
    }

    /// A text with the addresses that the page has.
    pub(crate) fn here(&self, seen: &str) -> String {
        self.addresses.iter().fold(seen.to_owned(), |seen, (known, address)| seen.replace(&address.to_string(), known))
    }
}
