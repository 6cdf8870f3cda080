//! JSON as clients send it: read in one pass, and so strictly that nobody behind reads something else in it.

mod field;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Number};

pub use field::Field;

/// So many names of an object are each held against those before it; the names of a larger one are sorted, so that many cost no square.
const FEW: usize = 32;

/// How much of a name that stands twice is told.
const MAX_TOLD: usize = 64;

/// A value, borrowed from its text wherever that has it without escapes. What it holds was made of the values within it.
pub(super) enum Value<'a, T> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<T>),
    Object(Vec<(Cow<'a, str>, T)>),
}

/// A value and all that it holds.
pub(super) struct Json<'a>(pub(super) Value<'a, Json<'a>>);

impl<'a> Json<'a> {
    /// The members; none where it is no object.
    fn members(&self) -> &[(Cow<'a, str>, Self)] {
        match &self.0 {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// What stands in this field.
    pub(super) fn find(&self, field: &Field) -> Option<&Self> {
        field.way().iter().try_fold(self, |here, step| here.members().iter().find(|(name, _)| **name == **step).map(|(_, value)| value))
    }
}

/// What is made of a text.
pub(super) trait Made<'a>: Sized {
    fn made(value: Value<'a, Self>) -> Self;
}

/// All of it is kept.
impl<'a> Made<'a> for Json<'a> {
    fn made(value: Value<'a, Self>) -> Self {
        Self(value)
    }
}

/// It only has to be JSON.
impl<'a> Made<'a> for () {
    fn made(_: Value<'a, Self>) -> Self {}
}

/// Reads a text that is one value (RFC 8259), no object of which has a name twice (RFC 7493 §2.3): parsers differ in which of the two
/// they take. At most 127 objects and lists stand within each other, and numbers are those a double can hold.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read<'a, T: Made<'a>>(text: &'a str) -> Result<T, Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let made = Reading(PhantomData).deserialize(&mut reader)?;
    reader.end()?;
    Ok(made)
}

/// Gives back what is not used of a list, where that is most of it: a million lists of one element shall not take the room of four.
fn trim<T>(list: &mut Vec<T>) {
    if list.capacity() > 2 * list.len() {
        list.shrink_to_fit();
    }
}

fn twice<E: de::Error>(name: &str) -> E {
    let told = name.get(..name.floor_char_boundary(MAX_TOLD)).unwrap_or_default();
    E::custom(format_args!("the name {told:?} twice in one object"))
}

struct Reading<T>(PhantomData<T>);

impl<'de, T: Made<'de>> DeserializeSeed<'de> for Reading<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Made<'de>> Visitor<'de> for Reading<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::made(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::made(Value::Bool(value)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::made(Value::Number(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::made(Value::Number(number.into())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Number::from_f64(number).map(|number| T::made(Value::Number(number))).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::made(Value::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::made(Value::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Reading(PhantomData))? {
            list.push(element);
        }
        trim(&mut list);
        Ok(T::made(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<T, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = entries.next_key_seed(Name)? {
            if members.len() < FEW && members.iter().any(|(other, _)| *other == name) {
                return Err(twice(&name));
            }
            members.push((name, entries.next_value_seed(Reading(PhantomData))?));
        }
        if members.len() > FEW {
            let mut names: Vec<&str> = members.iter().map(|(name, _): &(Cow<'_, str>, T)| &**name).collect();
            names.sort_unstable();
            if let Some((name, _)) = names.iter().zip(names.iter().skip(1)).find(|(one, other)| one == other) {
                return Err(twice(name));
            }
        }
        trim(&mut members);
        Ok(T::made(Value::Object(members)))
    }
}

/// The name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Whether it is taken, which both readers have to agree on.
    fn is_taken(text: &str) -> bool {
        let (whole, sound) = (read::<Json<'_>>(text).is_ok(), read::<()>(text).is_ok());
        assert_eq!(whole, sound, "{text}");
        whole
    }

    #[test]
    fn one_value_is_json_and_nothing_else_is() {
        for text in ["1", "-0", "\"x\"", " [1, 2.5e3, null, true] \n", "{}", r#"{"a":{"a":1},"b":[{"a":2}]}"#, r#""\ud83d\ude00""#] {
            assert!(is_taken(text), "{text}");
        }
        for text in
            ["", " ", "hello", "{", "[1,]", "{\"a\"}", "{} {}", "'a'", "NaN", "1e999", "01", "\"\t\"", r#""\ud800""#, "\u{feff}{}", "/**/1"]
        {
            assert!(!is_taken(text), "{text}");
        }
    }

    #[test]
    fn a_name_may_not_stand_twice_in_one_object_however_it_is_written() {
        let many: Vec<String> = (0..100).map(|number| format!("\"{number}\":0")).collect();
        assert!(is_taken(&format!("{{{}}}", many.join(","))));
        for text in [
            r#"{"a":1,"a":1}"#.to_owned(),
            r#"{"a":1,"b":2,"\u0061":3}"#.to_owned(),
            r#"[{"x":{"":1,"":2}}]"#.to_owned(),
            format!("{{{},\"7\":1}}", many.join(",")),
        ] {
            assert!(!is_taken(&text), "{text}");
        }
        let told = read::<()>(r#"{"a":1,"a":1}"#).unwrap_err().to_string();
        assert_eq!(told, "the name \"a\" twice in one object at line 1 column 10");
        let long = format!("{{\"{0}\":1,\"{0}\":1}}", "é".repeat(1000));
        assert!(read::<()>(&long).unwrap_err().to_string().len() < 120);
    }

    #[test]
    fn what_stands_too_deep_is_not_read() {
        let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
        assert!(is_taken(&deep(127)));
        assert!(!is_taken(&deep(128)));
        assert!(!is_taken(&"{\"a\":".repeat(100_000)));
    }

    #[test]
    fn a_field_is_found_by_the_names_on_its_way() {
        let text = r#"{"type":"x","a":{"b":{"c":1}},"a.b":2,"l":[{"c":3}]}"#;
        let json = read::<Json<'_>>(text).unwrap();
        let find = |field: &str| json.find(&field.parse().unwrap()).map(|found| serde_json::Value::from(found).to_string());
        assert_eq!(find("type").as_deref(), Some("\"x\""));
        assert_eq!(find("a.b.c").as_deref(), Some("1"));
        assert_eq!(find("a.b").as_deref(), Some(r#"{"c":1}"#), "a name with a dot in it is another");
        assert_eq!((find("l.c"), find("l.0"), find("type.x")), (None, None, None));
    }

    /// Values whose objects have each name once.
    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_filter_map("no number", |number| Number::from_f64(number).map(Into::into)),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..8).prop_map(serde_json::Value::from_iter),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn what_is_read_is_what_serde_json_reads(value in values(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let json = read::<Json<'_>>(&text).unwrap();
            prop_assert_eq!(serde_json::Value::from(&json), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }

        #[test]
        fn nothing_is_read_that_serde_json_does_not_read(text in "[\\[\\]{}:,\"a-b\\\\u0-9eE.+ -]{0,24}") {
            prop_assert!(!is_taken(&text) || serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
