//! What one client is told, and no other.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::decisions::{AUTH, file, url};
use super::support::Gateway;
use super::support::provider::{Provider, Says};
use super::support::raw::{exchange, upgrade};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_client_is_told_to_one() {
    const CLIENTS: usize = 20;
    let cookie: fn(usize) -> Says = |number| Says::answer(401, &[&format!("set-cookie: csrf={number}.")], "");
    let state: fn(usize) -> Says = |number| Says::answer(302, &[&format!("location: /login?state={number}.")], "");
    for (says, mark) in [(cookie, "csrf="), (state, "state=")] {
        for cache in ["off", "1h"] {
            let service = Provider::start().await;
            service.says(AUTH, Says::Numbered(says));
            let gateway = Gateway::run(&file(&format!("{}\ncache = \"{cache}\"", url(&service)), "echo", "", ""));
            let asked = upgrade("/", "User-Agent: the same\r\n");
            let mut answers = join_all((1..CLIENTS).map(|_| exchange(gateway.address("l"), asked.as_bytes()))).await;
            answers.push(exchange(gateway.address("l"), asked.as_bytes()).await);
            let told = |answer: &String| answer.split_once(mark).unwrap().1.split_once('.').unwrap().0.to_owned();
            let told: BTreeSet<String> = answers.iter().map(told).collect();
            assert_eq!(told.len(), CLIENTS, "{mark} with cache = {cache}: {told:?}");
            // Who waited for what was another's has asked for itself, once.
            assert!(service.count(AUTH) <= CLIENTS, "{mark} with cache = {cache}: {}", service.count(AUTH));
        }
    }
}
