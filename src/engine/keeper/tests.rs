use std::fs;
use std::pin::pin;
use std::sync::mpsc::channel;

use futures_util::FutureExt;

use crate::config::Document;
use crate::gateway::{Catalog, Gateway};
use crate::stage::cells::Cells;

use super::*;

#[test]
fn a_stop_gives_up_the_edit_that_is_being_read_and_each_one_after_it() {
    // One thread reads files, so that it can be kept from it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(give_up());
}

async fn give_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let text = "[listener.l]\naddress = \"127.0.0.1:0\"\n[route.r]\nendpoint = \"echo\"\n";
    fs::write(&path, text).unwrap();
    let watch = Watch::new(Some(path.clone())).await;
    let (document, cells) = (Arc::new(Document::open(&path)), Arc::new(Cells::default()));
    let (gateway, _) = Gateway::compile(&document, &Catalog::default(), &cells);
    let source = Source { path: Some(path.clone()), document, catalog: Catalog::default(), cells };
    let mut keeper = Keeper::new(Engine::start(gateway.unwrap()).unwrap(), Some((source, watch)), Logs::default()).await;

    fs::write(&path, text.replace("route.r", "route.other")).unwrap();
    let (answer, disk) = channel::<()>();
    let disk = tokio::task::spawn_blocking(move || disk.recv());
    let stopping = keeper.stopping();
    {
        let mut reload = pin!(keeper.reload(false));
        assert!(reload.as_mut().now_or_never().is_none(), "it waits for the disk");
        stopping.tell();
        let Reload::Refused(refused) = reload.await else { panic!("it is in force") };
        assert_eq!(refused.faults, "the gateway is being stopped");
    }
    assert!(matches!(keeper.bring(Wanted::File, true).await, Reload::Refused(_)));
    assert!(keeper.plan(None).await.is_err());
    assert_eq!(&*keeper.engine.gateway().routes[0].name, "r");
    drop(answer);
    disk.await.unwrap().unwrap_err();
    keeper.engine.stop();
}
