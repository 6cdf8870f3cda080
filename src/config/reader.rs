//! A tree read by serde, so that every failure knows its place.

use std::collections::{BTreeSet, btree_map};
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::dom::{Entry, Node, Value};
use super::fault::{KeyPath, Place};

/// Reads a node, passing over everything that is known to be faulty.
#[derive(Clone)]
pub(super) struct Reader<'de> {
    pub(super) node: &'de Node,
    pub(super) at: KeyPath,
    pub(super) faulty: &'de BTreeSet<KeyPath>,
}

/// Why a type could not be read from its table.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where; nothing until the error leaves the value it is of.
    pub(super) place: Option<Place>,
    pub(super) what: What,
}

/// What is wrong there.
#[derive(Debug)]
pub(super) enum What {
    /// A key that its table does not know; `parent` is a table further out that does.
    UnknownKey { key: String, known: &'static [&'static str], parent: Option<KeyPath> },
    /// One of a few words was expected.
    UnknownValue { value: String, known: &'static [&'static str] },
    /// A value of another type or range.
    Wrong { expected: String },
    /// A key is not there.
    Missing { key: &'static str },
    /// In the type's own words.
    Said(String),
}

impl Failure {
    fn new(what: What) -> Self {
        Self { place: None, what }
    }

    /// The failure, standing here unless it stands further in already.
    fn at(mut self, place: impl FnOnce() -> Place) -> Self {
        self.place.get_or_insert_with(place);
        self
    }

    /// Remembers the table at this path as the one a misplaced key belongs to.
    fn within(mut self, at: &KeyPath, keys: &[&str]) -> Self {
        if let (What::UnknownKey { key, parent: parent @ None, .. }, Some(Place::Key(path))) = (&mut self.what, &self.place)
            && path.steps().len() > at.steps().len() + 1
            && keys.contains(&key.as_str())
        {
            *parent = Some(at.clone());
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Said(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(What::Wrong { expected: expected.to_string() })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(What::Wrong { expected: expected.to_string() })
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownValue { value: variant.to_owned(), known })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey { key: field.to_owned(), known, parent: None })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing { key: field })
    }
}

impl<'de> Reader<'de> {
    fn value_here(self) -> impl FnOnce(Failure) -> Failure {
        move |failure| failure.at(|| Place::Value(self.at))
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Self { node, at, faulty } = &self;
        match &node.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Datetime(_) => Err(de::Error::invalid_type(Unexpected::Other("date or time"), &visitor)),
            Value::List(list) => visitor.visit_seq(Elements { list: list.iter(), next: 0, at, faulty }),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), value: None, at, faulty }),
        }
        .map_err(self.value_here())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    /// Tables only: serde would take a list for one as well, by position.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Table(_) => {
                let at = self.at.clone();
                self.deserialize_any(visitor).map_err(|failure| failure.within(&at, keys))
            }
            Value::Datetime(written) => {
                let read = toml::Value::Datetime(*written).deserialize_struct(name, keys, visitor);
                read.map_err(|error| Failure::new(What::Said(error.message().to_owned()))).map_err(self.value_here())
            }
            _ => Err(self.clone().value_here()(de::Error::invalid_type(Unexpected::Other(name), &visitor))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, words: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        let Self { node, at, faulty } = &self;
        match &node.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Table(table) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries { entries: table.iter(), value: None, at, faulty }))
            }
            _ => Err(Failure::new(What::UnknownValue { value: String::new(), known: words })),
        }
        .map_err(self.value_here())
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// The elements of a list.
struct Elements<'de, 'a> {
    list: std::slice::Iter<'de, Node>,
    next: usize,
    at: &'a KeyPath,
    faulty: &'de BTreeSet<KeyPath>,
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        for node in self.list.by_ref() {
            let at = self.at.index(self.next);
            self.next += 1;
            if !self.faulty.contains(&at) {
                let read = seed.deserialize(Reader { node, at: at.clone(), faulty: self.faulty });
                return read.map(Some).map_err(|failure| failure.at(|| Place::Value(at)));
            }
        }
        Ok(None)
    }
}

/// The entries of a table.
struct Entries<'de, 'a> {
    entries: btree_map::Iter<'de, String, Entry>,
    value: Option<Reader<'de>>,
    at: &'a KeyPath,
    faulty: &'de BTreeSet<KeyPath>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        for (key, entry) in self.entries.by_ref() {
            let at = self.at.key(key);
            if !self.faulty.contains(&at) {
                self.value = Some(Reader { node: &entry.node, at: at.clone(), faulty: self.faulty });
                let read = seed.deserialize(BorrowedStrDeserializer::<Failure>::new(key));
                return read.map(Some).map_err(|failure| failure.at(|| Place::Key(at)));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let value = self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        let at = value.at.clone();
        seed.deserialize(value).map_err(|failure| failure.at(|| Place::Value(at)))
    }
}
