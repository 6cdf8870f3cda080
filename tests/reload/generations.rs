//! Generations are bounded: a snapshot that is no longer in force lives only while a connection uses a part of it.

use std::sync::{Arc, Weak};

use wsgate::config::Document;
use wsgate::config::world::Machine;
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

use super::support;

/// The snapshot of an edit, after the one before it.
fn compile(before: Option<&Gateway>, edit: usize, cells: &Cells) -> Gateway {
    let text = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[echo.e]\nprefix = \"{edit} \"\n\
         [route.adopts]\npath = \"/adopts\"\nendpoint = \"echo.e\"\n\
         [route.keeps]\npath = \"/keeps\"\non_reload = \"keep\"\nendpoint = \"echo.e\"\n"
    );
    let document = Document::parse("edited", text, ".");
    Gateway::compile_after(before, &document, &Catalog::default(), cells, &Machine).gateway.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_edits_leave_one_snapshot_and_what_is_kept_of_the_first() {
    let cells = Cells::default();
    let mut engine = Engine::start(compile(None, 0, &cells)).unwrap();
    let address = engine.addresses()[0].1;
    let mut adopts = support::connect(format!("ws://{address}/adopts")).await.unwrap();
    let mut keeps = support::connect(format!("ws://{address}/keeps")).await.unwrap();
    let first: Vec<_> = engine.gateway().routes.iter().map(Arc::downgrade).collect();
    let mut before: Vec<Weak<Gateway>> = Vec::new();
    for edit in 1..=1000 {
        before.push(Arc::downgrade(&engine.gateway()));
        let gateway = compile(Some(&engine.gateway()), edit, &cells);
        engine.reload(gateway, false).await.unwrap();
        cells.sweep();
    }
    assert_eq!(support::ask(&mut adopts, "x").await, "1000 x");
    assert_eq!(support::ask(&mut keeps, "x").await, "0 x");
    // Who adopts lets go of what it had when it runs next: it has just answered.
    assert!(before.iter().all(|snapshot| snapshot.upgrade().is_none()), "no snapshot of before is left");
    let left: Vec<_> = first.iter().map(|route| route.upgrade().map(|route| route.name.to_string())).collect();
    assert_eq!(left, [None, Some("keeps".to_owned())], "of the first, the one route that a connection keeps to");
}
