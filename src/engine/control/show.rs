//! `show`: the text in force, with every default filled in and every secret masked, as `wsgate show` prints a file.

use std::io;
use std::sync::Arc;

use tokio::net::unix::WriteHalf;
use tokio::task::yield_now;

use crate::config::Document;
use crate::gateway::expansion::{NotShown, Table, show};

use super::super::source::blocking;
use super::command::{faulty, refusal};
use super::facts::{InForce, told};
use super::look::{refused, rolled_back};
use super::protocol::Reply;
use super::reply;
use super::server::{Server, line, write};

/// How much of an answer is written at a time, in bytes.
const PIECE: usize = 64 << 10;

impl Server {
    /// Shows every table, or those that connections of a route meet.
    pub(super) async fn show(&self, route: Option<String>, to: &mut WriteHalf<'_>) -> io::Result<Reply> {
        let (facts, generation) = (self.standing.now(), self.roster.generation());
        let tables = match self.tables(facts.text.clone(), route).await {
            Ok(tables) => tables,
            Err(why) => return Ok(why),
        };
        let mut piece = String::new();
        for table in tables {
            piece += &line(&Reply::Item(serde_json::to_value(table)?));
            if piece.len() >= PIECE {
                write(to, piece.as_bytes()).await?;
                piece.clear();
                yield_now().await;
            }
        }
        write(to, piece.as_bytes()).await?;
        let (rolled_back, refused) = (rolled_back(&facts), refused(&facts));
        Ok(reply(&InForce { config: self.config.clone(), generation, since: told(facts.since), rolled_back, refused }))
    }

    /// It takes a while where there are many, so it has a thread of its own.
    async fn tables(&self, text: Option<Arc<Document>>, route: Option<String>) -> Result<Vec<Table>, Reply> {
        let (Some(document), Some(catalog)) = (text, self.catalog.clone()) else {
            return Err(Reply::Failed("the config in force did not come from a text".to_owned()));
        };
        let shown = move || match show(&document, &catalog, route.as_deref()) {
            Ok(tables) => Ok(tables),
            Err(NotShown::Faults(faults)) => Err(faulty(&document, &faults)),
            Err(NotShown::NoRoute(why)) => Err(Reply::Failed(why)),
        };
        blocking(shown).await.map_err(refusal)?
    }
}
