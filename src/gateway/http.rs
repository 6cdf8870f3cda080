//! `http` of a route: that ordinary requests have somebody to answer them, and within which limits.

use std::sync::Arc;

use crate::config::fault::{Fault, Place};
use crate::config::table::{Route as RouteShape, SetBy};
use crate::config::units::Size;
use crate::endpoint::Endpoint;
use crate::stage::Configure;
use crate::stage::message::Messages;
use crate::stage::pipeline::{Pipeline, Step};
use crate::stage::rate_limit::Requests;

use super::compile::Compiler;
use super::route::Http;

impl Compiler<'_> {
    /// What ordinary requests of a route may do, where they pass.
    pub(super) fn http(&self, shape: &RouteShape<'_>) -> Option<Http> {
        let table = shape.http?;
        let limit = |rate| Arc::new(Requests::new(rate, shape.name, self.parts.cells()));
        Some(Http {
            requests: table.requests.map(limit),
            max_body: table.max_body().on().map_or(u64::MAX, Size::get),
            within: table.answer_timeout().get(),
            preflight: table.preflight(),
        })
    }

    /// Only a backend answers ordinary requests. Where `[gateway.route]` says it for all, it says it for those that have one.
    /// What they carry is no message, and passes stages that read those unread.
    pub(super) fn check_http(&mut self, shape: &RouteShape<'_>, endpoint: Option<&Endpoint>, pipeline: &Pipeline) {
        let reads = |step: &&Step| step.name.split('.').next() == Some(Messages::KIND);
        if let (Some(_), Some(Endpoint::Upstream(_)), Some(step)) = (shape.http, endpoint, pipeline.steps().find(reads)) {
            let message = format!("{} reads messages, and what ordinary requests of route.{} carry is none", step.name, shape.name);
            let hint = "leave `http` out where nothing may pass unread";
            self.fault(Fault::warning(Place::Key(shape.at("http")), message).hint(hint));
        }
        let is_own = matches!(endpoint, Some(Endpoint::Own(_) | Endpoint::Health(_)));
        if shape.http.is_none() || !is_own || shape.set_by("http") != SetBy::Route {
            return;
        }
        let fault = Fault::new(shape.at("http"), format!("{} answers no ordinary requests", shape.endpoint));
        self.fault(match endpoint {
            Some(Endpoint::Health(_)) => fault.hint("it answers probes without; leave `http` out"),
            _ => fault.hint("leave `http` out, or send the route to an upstream"),
        });
    }
}
