//! Every TOML block of the pages compiles without a word.

use wsgate::config::world::Machine;
use wsgate::config::{Document, render};
use wsgate::gateway::trial::prove;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

use super::support::{self, ask, backend};
use super::{blocks, package, pages};

/// What a block may refer to without writing it out: each of these is put before a block that names it and does not have it.
const PRELUDE: [(&str, &str); 5] = [
    ("listener.public", "[listener.public]\naddress = \"127.0.0.1:8765\"\n"),
    ("firewall.local", "[firewall.local]\nallow = [\"127.0.0.0/8\"]\n"),
    (
        "jwt.users",
        "[jwt.users]\nalgorithms = \"HS256\"\nsecret = { env = \"WSGATE_JWT_SECRET\", default = \"for-local-trials-only-0123456789abcdef\" }\n",
    ),
    ("upstream.chat", "[upstream.chat]\nservers = \"ws://127.0.0.1:9001\"\n"),
    ("pipeline.door", "[pipeline.door]\nstages = [\"errors\"]\n"),
];

/// A block as a whole file: with what it refers to, a listener where it has none, and a route where it has none.
fn whole(block: &str) -> String {
    let mut whole = String::new();
    for (name, table) in PRELUDE {
        let is_named = block.contains(&format!("\"{name}\"")) || (name == "listener.public" && !block.contains("[listener."));
        if is_named && !block.contains(&format!("[{name}]")) {
            whole += table;
        }
    }
    whole += block;
    if !block.contains("[route.") {
        whole += "\n[route.any]\nendpoint = \"echo\"\n";
    }
    whole
}

#[tokio::test]
async fn every_toml_block_compiles_and_its_tests_hold() {
    let mut found = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "toml") {
            found += 1;
            let document = Document::parse(page.display().to_string(), whole(&block), package());
            let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
            assert!(gateway.is_some() && faults.is_empty(), "{}", render(&document, &faults, false));
            let (_, faults) = prove(&document, &Catalog::default(), &Machine).await;
            assert!(faults.is_empty(), "{}", render(&document, &faults, false));
        }
    }
    assert!(found >= 2, "{found} blocks");
}

#[tokio::test]
async fn the_readme_s_six_lines_reach_a_backend_of_one_s_own() {
    let (address, mut requests) = backend::echo().await;
    let (_, readme) = pages().remove(0);
    let six = blocks(&readme, "toml").remove(0);
    assert_eq!(six.lines().filter(|line| !line.is_empty()).count(), 6, "{six}");
    let shipped = std::fs::read_to_string(package().join("gateway.toml")).unwrap();
    let config = (shipped + &six).replace("127.0.0.1:9001", &address.to_string());
    let config = config.replace("127.0.0.1:8765\"", "127.0.0.1:0\"").replace("127.0.0.1:8888\"", "127.0.0.1:0\"");
    let gateway = support::Gateway::run(&config);
    let mut socket = gateway.connect("public", "/mine/room?a=1").await;
    assert_eq!(ask(&mut socket, "through").await, "through");
    assert_eq!(requests.recv().await.unwrap().uri(), "/mine/room?a=1");
}
