//! When values are equal as JSON Schema has it (2020-12 core §4.2.2), and at what cost: never at one that whoever sends them chooses.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::mem;

use serde_json::{Number, Value as Written};

use crate::stage::json::{Json, Value};

/// Whether a value is this one of a schema's. It looks at no more of it than the schema's has.
pub(super) fn is(found: &Json<'_>, written: &Written) -> bool {
    match (&found.0, written) {
        (Value::Null, Written::Null) => true,
        (Value::Bool(found), Written::Bool(written)) => found == written,
        (Value::Number(found), Written::Number(written)) => Exact::of(found) == Exact::of(written),
        (Value::Text(found), Written::String(written)) => found == written,
        (Value::List(found), Written::Array(written)) => {
            found.len() == written.len() && found.iter().zip(written).all(|(found, written)| is(found, written))
        }
        (Value::Object(found), Written::Object(written)) => {
            found.len() == written.len() && found.iter().all(|(name, value)| written.get(&**name).is_some_and(|written| is(value, written)))
        }
        _ => false,
    }
}

/// Whether no two of these are equal. Those are held against each other that have the same mark, and the marks are made with a key of
/// this call's own: nobody can send values that share one.
pub(super) fn are_distinct(list: &[Json<'_>]) -> bool {
    let key = RandomState::new();
    let mut marked: Vec<(u64, &Json<'_>)> = list.iter().map(|value| (mark(value, &key), value)).collect();
    marked.sort_unstable_by_key(|(mark, _)| *mark);
    marked.chunk_by(|(one, _), (other, _)| one == other).all(|alike| {
        alike.iter().enumerate().all(|(index, (_, one))| alike.iter().skip(index + 1).all(|(_, other)| !are_equal(one, other)))
    })
}

fn mark(value: &Json<'_>, key: &RandomState) -> u64 {
    let mut hasher = key.build_hasher();
    feed(value, key, &mut hasher);
    hasher.finish()
}

/// What is fed for a value tells where it ends: `[[1],2]`, `[[1,2]]` and `[1,[2]]` differ.
fn feed(value: &Json<'_>, key: &RandomState, hasher: &mut impl Hasher) {
    mem::discriminant(&value.0).hash(hasher);
    match &value.0 {
        Value::Null => {}
        Value::Bool(value) => value.hash(hasher),
        Value::Number(number) => Exact::of(number).hash(hasher),
        Value::Text(text) => text.hash(hasher),
        Value::List(list) => {
            list.len().hash(hasher);
            list.iter().for_each(|value| feed(value, key, hasher));
        }
        // In any order.
        Value::Object(members) => {
            let sum = members.iter().map(|(name, value)| key.hash_one((name, mark(value, key)))).fold(0, u64::wrapping_add);
            (members.len(), sum).hash(hasher);
        }
    }
}

fn are_equal(one: &Json<'_>, other: &Json<'_>) -> bool {
    match (&one.0, &other.0) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Number(one), Value::Number(other)) => Exact::of(one) == Exact::of(other),
        (Value::Text(one), Value::Text(other)) => one == other,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && sorted(one)
                    .into_iter()
                    .zip(sorted(other))
                    .all(|((name, one), (other_name, other))| name == other_name && are_equal(one, other))
        }
        _ => false,
    }
}

/// An object's members by name: to look each of one's up in the other would cost a square.
fn sorted<'j>(members: &'j [(Cow<'j, str>, Json<'j>)]) -> Vec<&'j (Cow<'j, str>, Json<'j>)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    sorted
}

/// A number, in the one way in which it can be held: `1` and `1.0` are one.
#[derive(PartialEq, Eq, Hash)]
enum Exact {
    Whole(i128),
    /// A double that is not whole, or larger than any integer that is read as one.
    Bits(u64),
}

impl Exact {
    fn of(number: &Number) -> Self {
        const END: f64 = 18_446_744_073_709_551_616.0;
        if let Some(whole) = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)) {
            return Self::Whole(whole);
        }
        let double = number.as_f64().unwrap_or_default();
        if double.fract() == 0.0 && double.abs() < END {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
            return Self::Whole(double as i128);
        }
        Self::Bits(double.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jsonschema::json::{cmp, unique};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::stage::json::read;

    /// Values that lie close to each other, so that they often are equal or nearly.
    fn values() -> impl Strategy<Value = Written> {
        let numbers = ["0", "-0", "-0.0", "1", "1.0", "1e0", "-1", "0.5", "9007199254740993", "9007199254740992.0", "18446744073709551615"];
        let more =
            ["18446744073709551616", "9223372036854775808.0", "9223372036854775807", "-9223372036854775808", "-9.223372036854775808e18"];
        let numbers: Vec<Written> = numbers.iter().chain(&more).map(|text| serde_json::from_str(text).unwrap()).collect();
        let others = vec![json!(null), json!(true), json!(false), json!(""), json!("1"), json!("é")];
        let leaf = prop_oneof![proptest::sample::select(numbers), proptest::sample::select(others)];
        leaf.prop_recursive(3, 16, 3, |inner| {
            let names = proptest::sample::select(vec!["a", "b", "é", ""]);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                proptest::collection::vec((names, inner), 0..3)
                    .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

        #[test]
        fn values_are_equal_that_the_validator_takes_for_equal(one in values(), other in values()) {
            let (texts, equal) = ([one.to_string(), other.to_string()], cmp::equal(&one, &other));
            let [read_one, read_other] = [read::<Json<'_>>(&texts[0]).unwrap(), read::<Json<'_>>(&texts[1]).unwrap()];
            prop_assert_eq!(are_equal(&read_one, &read_other), equal, "{:?}", texts);
            prop_assert_eq!(is(&read_one, &other), equal, "{:?}", texts);
            let key = RandomState::new();
            prop_assert_eq!(mark(&read_one, &key) == mark(&read_other, &key), equal, "{:?}", texts);
        }

        #[test]
        fn a_list_is_unique_that_the_validator_takes_for_unique(list in proptest::collection::vec(values(), 0..24)) {
            let text = Written::from(list.clone()).to_string();
            let Json(Value::List(read)) = read::<Json<'_>>(&text).unwrap() else { unreachable!() };
            prop_assert_eq!(are_distinct(&read), unique::is_unique(&list), "{}", text);
        }
    }

    /// `1`, `[1]`, `[[],1]`, `[1,[]]` and so on: all that is told by nothing but where lists begin and end.
    fn nested(count: usize) -> Vec<String> {
        let mut all = vec!["1".to_owned()];
        for index in 0.. {
            if all.len() >= count {
                break;
            }
            let inner = all[index].clone();
            all.extend([format!("[{inner}]"), format!("[[],{inner}]"), format!("[{inner},[]]")]);
        }
        all
    }

    #[test]
    fn values_that_differ_only_in_their_nesting_have_marks_of_their_own() {
        let forms = nested(4000);
        for of in ["{}", "{\"a\":{}}", "[{},{}]"] {
            let text = format!("[{}]", forms.iter().map(|form| of.replace("{}", form)).collect::<Vec<_>>().join(","));
            let Json(Value::List(list)) = read::<Json<'_>>(&text).unwrap() else { unreachable!() };
            let key = RandomState::new();
            let marks: HashSet<u64> = list.iter().map(|value| mark(value, &key)).collect();
            assert_eq!(marks.len(), list.len(), "{of}");
            assert!(are_distinct(&list), "{of}");
        }
    }

    #[test]
    fn integers_that_one_double_stands_for_have_marks_of_their_own() {
        let key = RandomState::new();
        let integers = (0..2048_u64).map(|more| Json(Value::Number((u64::MAX - more).into())));
        assert_eq!(integers.map(|integer| mark(&integer, &key)).collect::<HashSet<u64>>().len(), 2048);
    }

    #[test]
    fn what_is_sent_in_another_order_is_the_same() {
        let names = (0..1000).map(|name| format!("\"{name}\":[{name}.0]")).collect::<Vec<_>>();
        let forth = names.join(",");
        let back = names.iter().rev().cloned().collect::<Vec<_>>().join(",").replace(".0", "");
        let text = format!("[{{{forth}}},{{{back}}}]");
        let Json(Value::List(list)) = read::<Json<'_>>(&text).unwrap() else { unreachable!() };
        assert!(!are_distinct(&list));
    }
}
