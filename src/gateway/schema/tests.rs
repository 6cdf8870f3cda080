//! What a program's own kinds become in the schema, beside the built-in ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::Faults;
use crate::stage::{Build, Configure, Stage};

use super::*;

/// A stage whose types are called as others are, and mean something else.
struct Quota;

impl Stage for Quota {}

impl Configure for Quota {
    const KIND: &'static str = "quota";
    const AUTHENTICATES: bool = true;
    type Table = Table;

    fn configure(_: Table, _: &mut Build<'_>) -> Result<Self, Faults> {
        Ok(Self)
    }
}

/// `[quota.NAME]`: how much a client may use in a month.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// How long a month is.
    months: Vec<Interval>,
    /// What is counted.
    pots: Vec<Pot>,
    /// The same as the frame has it.
    sizes: Vec<crate::config::units::Size>,
}

/// A length of time, in days.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Interval(u8);

/// A name of its own that leads to one that is not.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pot {
    /// How long it lasts.
    lasts: Vec<Interval>,
    /// What is left of it goes into another.
    next: Option<Box<Pot>>,
}

fn whole() -> Value {
    super::schema(&Catalog::default().with_stage::<Quota>()).to_value()
}

#[test]
fn a_plugin_s_table_is_in_it_like_a_built_in_one() {
    let whole = whole();
    let quota = &whole["properties"]["quota"];
    assert_eq!(quota["description"], "A stage: how much a client may use in a month.");
    let keys = &quota["additionalProperties"]["properties"];
    assert_eq!(keys["mode"]["default"], "enforce");
    assert_eq!(keys["pots"]["description"], "What is counted.");
}

#[test]
fn a_plugin_s_stage_may_be_named_where_such_a_stage_may() {
    let whole = whole();
    for (way, named) in [("/$defs/Stage/anyOf/0/pattern", true), ("/$defs/Stage/anyOf/1/items/pattern", true)] {
        assert_eq!(whole.pointer(way).unwrap().as_str().unwrap().contains("quota\\."), named, "{way}");
    }
    let built_in = super::schema(&Catalog::default()).to_value();
    assert!(!built_in["$defs"]["Stage"].to_string().contains("quota"));
}

#[test]
fn types_of_one_name_that_differ_are_two_definitions_and_those_that_do_not_are_one() {
    let whole = whole();
    let keys = &whole["properties"]["quota"]["additionalProperties"]["properties"];
    let definitions = &whole["$defs"];
    assert_eq!(keys["months"]["items"]["$ref"], "#/$defs/quota.Interval");
    assert_eq!((&definitions["Interval"]["type"], &definitions["quota.Interval"]["type"]), (&json!("string"), &json!("integer")));
    assert_eq!(keys["pots"]["items"]["$ref"], "#/$defs/Pot");
    assert_eq!(definitions["Pot"]["properties"]["lasts"]["items"]["$ref"], "#/$defs/quota.Interval");
    assert_eq!(keys["sizes"]["items"]["$ref"], "#/$defs/Size");
    assert!(definitions.get("quota.Size").is_none());
}

#[test]
fn a_type_that_holds_itself_ends_in_a_reference() {
    let next = &whole()["$defs"]["Pot"]["properties"]["next"];
    assert_eq!(next, &json!({ "description": "What is left of it goes into another.", "$ref": "#/$defs/Pot" }));
}
