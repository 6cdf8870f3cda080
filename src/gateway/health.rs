//! From a `[health.*]` table to what answers probes, and whether a probe can reach it.

use std::sync::Arc;

use crate::config::Part;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::PartRef;
use crate::config::table::Route as RouteShape;
use crate::endpoint::Endpoint;
use crate::endpoint::health::{Health, LIVE, READY, Table};
use crate::endpoint::upstream::Upstream;

use super::catalog::Upstreams;
use super::compile::Compiler;
use super::parts::Parts;

/// The endpoint its table describes.
pub(super) fn make(part: &Part, upstreams: Upstreams<'_>) -> Result<Endpoint, Faults> {
    let table: Table = part.read()?;
    let at = part.at().key("upstreams");
    let named = table.upstreams.iter().enumerate();
    let found = named.filter_map(|(index, name)| Some((name.to_string().into(), upstreams(&at.index(index), name)?)));
    Ok(Endpoint::Health(Arc::new(Health::new(found.collect()))))
}

impl Parts<'_> {
    /// The upstream that an endpoint's table names at this path.
    pub(super) fn upstream(&mut self, at: &KeyPath, part: &PartRef) -> Option<Arc<Upstream>> {
        if part.kind != "upstream" || part.name.is_none() {
            let hint = self.named_hint("upstream");
            let what = if part.kind == "upstream" {
                "a bare \"upstream\" says not which".to_owned()
            } else {
                format!("\"{part}\" is not an upstream")
            };
            self.fault(Fault::new(at.clone(), what).hint(hint));
            return None;
        }
        match self.made_upstream(part) {
            Some(made) => made,
            None => {
                self.unknown(at, part);
                None
            }
        }
    }
}

impl Compiler<'_> {
    /// A health endpoint behind paths that no probe ends in answers everybody with 404.
    pub(super) fn check_probes(&mut self, shape: &RouteShape<'_>, endpoint: Option<&Endpoint>) {
        let is_probe = |path: &String| {
            path.ends_with('*') || path.ends_with('}') || path.rsplit('/').next().is_some_and(|end| [LIVE, READY].contains(&end))
        };
        if matches!(endpoint, Some(Endpoint::Health(_))) && !shape.path.is_empty() && !shape.path.iter().any(is_probe) {
            let message = format!("route.{} takes no path that ends in /{LIVE} or /{READY}, and others are answered 404", shape.name);
            let path = shape.path.first().map_or("", |path| path.trim_end_matches('/'));
            self.fault(Fault::warning(shape.at("path"), message).hint(format!("write path = \"{path}/*\"")));
        }
    }
}
