//! A message's JSON as its schema looks at it.

use std::borrow::Cow;
use std::slice::Iter;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json as Representation, Node, NodeIdentity, Object};
use serde_json::Number;

use crate::stage::json::{Json, Value};

use super::equality;
use super::looks::look;

/// Messages are judged as they are read: their strings lie in their text, and nothing is built for the validator alone.
pub(super) struct AsRead;

impl Representation for AsRead {
    type Node<'a> = &'a Json<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    /// A member is looked for among all of them.
    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, with: impl FnOnce(Self::Node<'_>) -> T) -> T {
        with(&Json(Value::Text(Cow::Borrowed(string))))
    }
}

impl<'a> Node<'a, AsRead> for &'a Json<'a> {
    type Object = Members<'a>;
    type Array = &'a [Json<'a>];
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        if let Value::Object(members) = &self.0 { look(1 + members.len()).then_some(Members(members)) } else { None }
    }

    fn as_array(&self) -> Option<&'a [Json<'a>]> {
        if let Value::List(list) = &self.0 { look(1 + list.len()).then_some(list) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Value::Text(text) = &self.0 { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<&'a Number> {
        if let Value::Number(number) = &self.0 { Some(number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Value::Bool(value) = &self.0 { Some(*value) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.0, Value::Null)
    }

    fn json_type(&self) -> JsonType {
        match &self.0 {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::Text(_) => JsonType::String,
            Value::List(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        equality::is(self, expected)
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned((*self).into())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Json<'_>>(self).addr()))
    }
}

/// The members of an object.
pub(super) struct Members<'a>(&'a [(Cow<'a, str>, Json<'a>)]);

impl<'a> Object<'a, AsRead> for Members<'a> {
    type Node = &'a Json<'a>;
    type MemberName = &'a str;
    type MembersIter = Named<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &Box<str>) -> Option<&'a Json<'a>> {
        self.0.iter().find(|(name, _)| **name == **key).map(|(_, value)| value)
    }

    fn members(&self) -> Named<'a> {
        Named(self.0.iter())
    }
}

/// Each member with its name.
pub(super) struct Named<'a>(Iter<'a, (Cow<'a, str>, Json<'a>)>);

impl<'a> Iterator for Named<'a> {
    type Item = (&'a str, &'a Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&**name, value))
    }
}

impl<'a> Array<'a, AsRead> for &'a [Json<'a>] {
    type Node = &'a Json<'a>;
    type ElementsIter = Iter<'a, Json<'a>>;

    fn len(&self) -> usize {
        <[Json<'_>]>::len(self)
    }

    fn elements(&self) -> Iter<'a, Json<'a>> {
        self.iter()
    }

    /// The validator's own hashes can be made to collide, and then it takes a square of the list's length.
    fn is_unique(&self) -> bool {
        equality::are_distinct(self)
    }
}

/// A copy, for what is rarely asked.
impl From<&Json<'_>> for serde_json::Value {
    fn from(json: &Json<'_>) -> Self {
        match &json.0 {
            _ if !look(1) => Self::Null,
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::Text(text) => Self::String(text.clone().into_owned()),
            Value::List(list) => Self::Array(list.iter().map(Into::into).collect()),
            Value::Object(members) => Self::Object(members.iter().map(|(name, value)| (name.clone().into_owned(), value.into())).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::stage::json::read;

    /// Values of few names and few leaves, so that they often fit.
    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaves = vec![json!(null), json!(true), json!(1), json!(1.0), json!(-2.5), json!("a"), json!("é\n"), json!(1e300)];
        proptest::sample::select(leaves).prop_recursive(4, 32, 4, |inner| {
            let names = proptest::sample::select(vec!["a", "b", "é"]);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map(names, inner, 0..4)
                    .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        /// What is judged as it is read comes to the same as what serde_json has built.
        #[test]
        fn a_message_fits_whichever_way_it_is_held(value in values()) {
            for schema in [
                json!({ "type": ["object", "integer"] }),
                json!({ "properties": { "a": { "type": "number", "multipleOf": 0.5 } }, "required": ["b"] }),
                json!({ "additionalProperties": { "$ref": "#/$defs/x" }, "$defs": { "x": { "enum": [1, "a", { "a": 1 }, [true]] } } }),
                json!({ "uniqueItems": true, "items": { "not": { "const": -2.5 } }, "maxItems": 2 }),
                json!({ "propertyNames": { "maxLength": 1, "pattern": "[a-b]" }, "minProperties": 1 }),
                json!({ "anyOf": [{ "contains": { "type": "null" } }, { "maxProperties": 1 }, { "$ref": "#" }] }),
                json!({ "patternProperties": { "^a": { "type": "array" } }, "unevaluatedProperties": false }),
                json!({ "prefixItems": [{ "minLength": 2 }, { "$ref": "#" }], "unevaluatedItems": { "type": "integer" } }),
                json!({ "if": { "required": ["a"] }, "then": { "dependentRequired": { "a": ["b"] } }, "else": { "type": ["array", "string"] } }),
                json!({ "oneOf": [{ "maximum": 1 }, { "type": "integer" }, { "$dynamicRef": "#x" }], "$defs": { "x": { "$dynamicAnchor": "x" } } }),
            ] {
                let text = value.to_string();
                let (ours, theirs) = (jsonschema::options_for::<super::AsRead>().build(&schema).unwrap(), jsonschema::validator_for(&schema).unwrap());
                let json = read(&text).unwrap();
                prop_assert_eq!(ours.is_valid(&json), theirs.is_valid(&value), "{} {}", schema, value);
                let said = |error: jsonschema::ValidationError<'_>| error.to_string();
                prop_assert_eq!(ours.validate(&json).map_err(said), theirs.validate(&value).map_err(said), "{} {}", schema, value);
            }
        }
    }
}
