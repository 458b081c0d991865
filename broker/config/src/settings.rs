//! Parsed values of one table of keys, readable by typed key.

use std::collections::BTreeMap;

use crate::error::ValueError;
use crate::key::{Key, KeyType};
use crate::spec::{DefaultValue, Spec};
use crate::value::Value;

/// A value for every key of a table.
///
/// Invariant: each value is of its key's type and within its limits, so that reading cannot fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
}

impl Settings {
    /// Parses the keys of a table out of raw text; keys that are not in the text get their default.
    /// A required key that is missing is left out: the caller has checked for it.
    pub(crate) fn parse<'a>(
        specs: impl Iterator<Item = &'static Spec>,
        mut raw: impl FnMut(&Spec) -> Option<&'a str>,
    ) -> Result<Settings, ValueError> {
        let mut values = BTreeMap::new();
        for spec in specs {
            let value = match (raw(spec), spec.default) {
                (Some(text), _) | (None, DefaultValue::Text(text)) => Value::parse(spec, text)?,
                (None, DefaultValue::Null) => Value::Null,
                (None, DefaultValue::Required) => continue,
            };
            values.insert(spec.name, value);
        }
        Ok(Settings { values })
    }

    /// The value of a key of this table.
    ///
    /// # Panics
    /// If the key is of another table: which table a key is of is known when the call is written.
    pub fn get<T: KeyType>(&self, key: Key<T>) -> T::Read<'_> {
        match self.values.get(key.name()).and_then(T::read) {
            Some(value) => value,
            None => panic!("{} is not a key of this table", key.name()),
        }
    }

    /// The value of a key by name; nothing for a name that is not in the table.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Puts another value in a key's place, of the type that the key has.
    pub(crate) fn replace(&mut self, name: &'static str, value: Value) {
        self.values.insert(name, value);
    }

    /// All values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }
}
