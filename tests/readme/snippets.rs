//! Every TOML block of the pages compiles without a word, or with just what the block behind it says.

use std::fmt::Write;

use wsgate::config::world::Machine;
use wsgate::config::{Document, render};
use wsgate::gateway::trial::prove;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

use super::served::folder;
use super::support::{self, ask, backend};
use super::{blocks, edit, fenced, is_update, package, pages};

/// What a block may refer to without writing it out: each of these is put behind a block that names it and does not have it.
const REST: [(&str, &str); 5] = [
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
    let tables: toml::Table = block.parse().unwrap_or_else(|error| panic!("{block}\n{error}"));
    let has = |name: &str| {
        let (kind, name) = name.split_once('.').unwrap();
        tables.get(kind).is_some_and(|tables| tables.get(name).is_some())
    };
    let mut whole = block.to_owned();
    if !tables.contains_key("route") {
        whole += "\n[route.any]\nendpoint = \"echo\"\n";
    }
    for (name, table) in REST {
        let is_named = block.contains(&format!("\"{name}\"")) || (name == "listener.public" && !tables.contains_key("listener"));
        if is_named && !has(name) {
            whole += table;
        }
    }
    whole
}

/// The TOML of a page, each with what `wsgate check` is to say of it: the `text` behind it, where that is such words.
fn files(text: &str) -> Vec<(String, String)> {
    let blocks = fenced(text);
    let behind = blocks.iter().skip(1).map(Some).chain([None]);
    let files = blocks.iter().zip(behind).filter(|((language, _), _)| language == "toml");
    let said = |next: Option<&(String, String)>| {
        let is_said = |said: &str| said.starts_with("fault:") || said.starts_with("warning:");
        next.filter(|(language, text)| language == "text" && is_said(text)).map(|(_, text)| text.clone())
    };
    files.map(|((_, block), next)| (block.clone(), said(next).unwrap_or_default())).collect()
}

#[tokio::test]
async fn every_toml_block_compiles_and_its_tests_hold_or_it_is_told_what_the_page_says() {
    let folder = folder();
    let (mut found, mut wrong) = (0, String::new());
    for (page, text) in pages() {
        for (block, said) in files(&text) {
            found += 1;
            let document = Document::parse("gateway.toml".to_owned(), whole(&block), folder.path());
            let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
            let mut told = render(&document, &faults, false);
            if gateway.is_some() {
                let (_, failed) = prove(&document, &Catalog::default(), &Machine).await;
                told += &render(&document, &failed, false);
            }
            if is_update() && !said.is_empty() {
                edit(&page, |text| {
                    text.replace(&format!("{block}```\n\n```text\n{said}```"), &format!("{block}```\n\n```text\n{told}```"))
                });
            } else if told != said {
                write!(wrong, "{}\n{block}\n{told}\nand not\n\n{said}\n", page.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(found >= 20, "{found} blocks");
}

#[test]
fn the_first_config_of_a_kind_or_a_situation_is_a_whole_file() {
    for (page, text) in pages() {
        if page.starts_with("docs/kinds") || page.starts_with("docs/cookbook") {
            let config = blocks(&text, "toml").remove(0);
            assert_eq!(whole(&config), config, "{}", page.display());
        }
    }
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
