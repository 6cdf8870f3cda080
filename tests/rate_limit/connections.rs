//! How many connections there are at a time, where one more is refused.

use serde_json::json;

use super::support::Gateway;
use super::{ALICE, PUBLIC, Who, connect, decided, refused};

#[tokio::test(flavor = "multi_thread")]
async fn connections_at_a_time_come_and_go() {
    for concurrent in ["3", "{ max = 3 }", "{ max = 3, on_excess = \"refuse\" }"] {
        let mut gateway = Gateway::run(&format!(
            "{PUBLIC}[rate_limit.x]\nkey = \"header:x-tenant\"\nconcurrent = {concurrent}\n\
             [route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n"
        ));
        come_and_go(&mut gateway).await;
        come_and_go(&mut gateway).await;
    }
}

async fn come_and_go(gateway: &mut Gateway) {
    // Together, so that judging and entering have to be one.
    let joined = futures_util::future::join_all((0..12).map(|_| connect(gateway, ALICE))).await;
    let (inside, turned_away): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
    assert_eq!((inside.len(), turned_away.len()), (3, 9));
    assert_eq!(decided(&gateway.event("refused")), json!(["too_many_connections", "rate_limit.x", "concurrent 3"]));
    assert_eq!(refused(gateway, ALICE).await.0, 429);
    connect(gateway, Who { tenant: "umbrella", ..ALICE }).await.unwrap();
    // The three, and the stranger.
    drop(inside);
    for _ in 0..4 {
        gateway.event("close");
    }
}
