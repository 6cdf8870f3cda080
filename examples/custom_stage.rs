//! A gateway with a stage of one's own: `[api_version.NAME]` keeps out who speaks a version of an API that is no longer spoken.
//!
//! This is all of the `wsgate` command, with one kind more; `docs/extending.md` walks through it.
//!
//! ```text
//! cargo run --example custom_stage -- --config examples/custom_stage.toml
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wsgate::cli;
use wsgate::config::fault::{Fault, Faults};
use wsgate::gateway::Catalog;
use wsgate::stage::refusal::FORBIDDEN;
use wsgate::stage::{Build, Client, Configure, Judgement, Outcome, Refusal, Stage, Verdict};

/// `[api_version.NAME]`: which versions of an API are spoken, by the `X-Api-Version` that a client sends.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The oldest that is spoken, 2 or more. A client that says nothing speaks 1.
    minimum: u32,
}

/// What a client is told that speaks an older one.
const TOO_OLD: Outcome = Outcome {
    id: "api_too_old",
    code: Some(4426),
    reason: "please update",
    summary: "the client speaks a version below the `minimum` of an api_version stage",
    ..FORBIDDEN
};

struct ApiVersion {
    name: Arc<str>,
    minimum: u32,
}

impl Configure for ApiVersion {
    const KIND: &'static str = "api_version";
    const OUTCOMES: &'static [Outcome] = &[TOO_OLD];
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        if table.minimum < 2 {
            let fault = Fault::new(build.at().key("minimum"), format!("every client speaks version {} or later", table.minimum));
            return Err(fault.hint("write 2 or more, or leave the stage out").into());
        }
        Ok(Self { name: build.name().into(), minimum: table.minimum })
    }
}

impl Stage for ApiVersion {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let header = client.request.as_ref().and_then(|request| request.headers.get("x-api-version"));
        let spoken = header.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(1);
        client.holdings.keep(&self.name, Arc::new(spoken));
        Judgement::Now(self.judge(spoken))
    }

    /// A client that came in before the stage stood there was never asked, and stays.
    fn review(&self, client: &Client, _: SystemTime) -> Verdict {
        client.holdings.kept(&self.name).map_or(Ok(()), |spoken| self.judge(*spoken))
    }
}

impl ApiVersion {
    fn judge(&self, spoken: u32) -> Verdict {
        if spoken >= self.minimum {
            return Ok(());
        }
        Err(Box::new(Refusal::new(TOO_OLD).rule(format!("{spoken} is below {}", self.minimum))))
    }
}

fn main() -> ExitCode {
    cli::main(&Catalog::default().with_stage::<ApiVersion>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wsgate::config::fault::KeyPath;
    use wsgate::stage::cells::Cells;
    use wsgate::stage::sample;

    use super::*;

    fn stage(minimum: u32) -> Result<ApiVersion, Faults> {
        let cells = Cells::default();
        let mut build = Build::new(KeyPath::table("api_version", "app"), Path::new("."), &cells);
        ApiVersion::configure(Table { minimum }, &mut build)
    }

    #[test]
    fn a_client_is_judged_again_by_the_version_it_came_in_with() {
        for (said, before, after) in [("3", true, true), ("2", true, false), ("1", false, false), ("two", false, false)] {
            let mut client = sample::client(&[("x-api-version", said)]);
            let Judgement::Now(verdict) = stage(2).unwrap().handshake(&mut client) else { panic!("it answers at once") };
            assert_eq!(verdict.is_ok(), before, "{said}");
            // The file is edited, and its stages are made anew.
            assert_eq!(stage(3).unwrap().review(&client, SystemTime::now()).is_ok(), after, "{said}");
        }
    }

    #[test]
    fn a_client_that_was_never_asked_stays() {
        assert!(stage(2).unwrap().review(&sample::client(&[]), SystemTime::now()).is_ok());
    }

    #[test]
    fn its_table_is_in_the_schema_like_one_that_is_built_in() {
        let catalog = Catalog::default().with_stage::<ApiVersion>();
        let schema = (catalog.stage("api_version").unwrap().schema)();
        assert_eq!(schema.get("additionalProperties"), Some(&false.into()));
        assert!(schema.pointer("/properties/minimum/description").is_some(), "{schema:?}");
    }

    #[test]
    fn a_minimum_that_keeps_nobody_out_is_a_fault_at_its_place() {
        let faults = stage(1).err().unwrap();
        assert_eq!(faults.0[0].place, KeyPath::table("api_version", "app").key("minimum").into());
    }
}
