//! The frame's kinds, each in one line: what walks over all of them, as the schema and `wsgate show` do, walks over this list.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use super::expanded::expanded;
use super::shape::Config;
use super::structure::GATEWAY;
use super::table::{GatewayTable, ListenerTable, LogTable, MetricsTable, PipelineTable, RouteTable, TestTable, UpstreamTable};

/// A kind of table that the gateway itself knows, whatever stages and endpoints there are.
pub struct FrameKind {
    /// The kind, as the file writes it.
    pub kind: &'static str,
    /// The JSON Schema of its table.
    pub schema: fn() -> Schema,
    /// Its tables in a config by name, each with every default filled in; one without a name is the only one.
    pub tables: fn(&Config) -> Tables<'_>,
}

/// Tables by name, with every default filled in and every secret masked.
///
/// # Errors
/// Why TOML has no way to write one of them.
pub type Tables<'a> = Result<Vec<(&'a str, toml::Table)>, String>;

/// Every kind of the frame. To add one: write its table, its field of [`Config`], and its line here.
pub const FRAME: &[FrameKind] = &[
    FrameKind { kind: GATEWAY, schema: schema::<GatewayTable>, tables: |config| Ok(vec![("", expanded(&config.gateway)?)]) },
    FrameKind { kind: "listener", schema: schema::<ListenerTable>, tables: |config| named(&config.listeners) },
    FrameKind { kind: "route", schema: schema::<RouteTable>, tables: |config| named(&config.routes) },
    FrameKind { kind: "upstream", schema: schema::<UpstreamTable>, tables: |config| named(&config.upstreams) },
    FrameKind { kind: "pipeline", schema: schema::<PipelineTable>, tables: |config| named(&config.pipelines) },
    FrameKind { kind: "log", schema: schema::<LogTable>, tables: |config| named(&config.logs) },
    FrameKind { kind: "metrics", schema: schema::<MetricsTable>, tables: |config| named(&config.metrics) },
    FrameKind { kind: "test", schema: schema::<TestTable>, tables: |config| named(&config.tests) },
];

impl FrameKind {
    /// Whether there is one table of it, without a name.
    pub fn is_single(&self) -> bool {
        self.kind == GATEWAY
    }
}

fn schema<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

fn named<T: Serialize>(tables: &BTreeMap<String, T>) -> Tables<'_> {
    tables.iter().map(|(name, table)| Ok((name.as_str(), expanded(table)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::FRAME_KINDS;
    use super::*;

    #[test]
    fn every_kind_of_the_frame_has_its_line() {
        assert_eq!(FRAME.iter().map(|kind| kind.kind).collect::<Vec<_>>(), FRAME_KINDS);
    }
}
