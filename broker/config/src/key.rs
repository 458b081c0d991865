//! A key that carries the type of its value.

use std::fmt;
use std::marker::PhantomData;

use crate::spec::{ConfigType, DefaultValue, Spec};
use crate::value::{Secret, Value};

/// How a Rust type stands for a type of the catalog.
pub trait KeyType {
    /// The catalog's type.
    const KIND: ConfigType;
    /// Whether the value may be missing.
    const NULLABLE: bool = false;
    /// What reading the key gives.
    type Read<'a>;
    /// Reads a value; nothing if it is of another type.
    fn read(value: &Value) -> Option<Self::Read<'_>>;
}

/// STRING: reads as `&str`.
#[derive(Debug)]
pub enum Text {}
/// CLASS: reads as `&str`, the class's name.
#[derive(Debug)]
pub enum ClassName {}
/// LIST: reads as `&[String]`.
#[derive(Debug)]
pub enum Names {}

macro_rules! key_type {
    ($ty:ty, $kind:ident, $read:ty, $pattern:pat => $out:expr) => {
        impl KeyType for $ty {
            const KIND: ConfigType = ConfigType::$kind;
            type Read<'a> = $read;
            fn read(value: &Value) -> Option<Self::Read<'_>> {
                match value {
                    $pattern => Some($out),
                    _ => None,
                }
            }
        }
    };
}

key_type!(bool, Boolean, bool, Value::Bool(v) => *v);
key_type!(i16, Short, i16, Value::Short(v) => *v);
key_type!(i32, Int, i32, Value::Int(v) => *v);
key_type!(i64, Long, i64, Value::Long(v) => *v);
key_type!(f64, Double, f64, Value::Double(v) => *v);
key_type!(Text, Str, &'a str, Value::Text(v) => v.as_str());
key_type!(ClassName, Class, &'a str, Value::Text(v) => v.as_str());
key_type!(Names, List, &'a [String], Value::List(v) => v.as_slice());
key_type!(Secret, Password, &'a Secret, Value::Secret(v) => v);

impl<T: KeyType> KeyType for Option<T> {
    const KIND: ConfigType = T::KIND;
    const NULLABLE: bool = true;
    type Read<'a> = Option<T::Read<'a>>;
    fn read(value: &Value) -> Option<Self::Read<'_>> {
        match value {
            Value::Null => Some(None),
            other => T::read(other).map(Some),
        }
    }
}

/// A key whose value reads as `T` does. Made only by the catalog, so that name and type agree.
pub struct Key<T> {
    spec: &'static Spec,
    reads: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)
    }
}

impl<T: KeyType> Key<T> {
    /// Ties a spec to its Rust type. A null default needs an `Option`, and only it; this is
    /// checked when the catalog is compiled.
    pub(crate) const fn new(spec: &'static Spec) -> Key<T> {
        assert!(T::KIND as u8 == spec.kind as u8, "the spec is of another type");
        assert!(
            T::NULLABLE == matches!(spec.default, DefaultValue::Null),
            "a null default and an Option go together"
        );
        Key { spec, reads: PhantomData }
    }

    /// What the catalog says of the key.
    pub const fn spec(self) -> &'static Spec {
        self.spec
    }

    /// The key's name.
    pub const fn name(self) -> &'static str {
        self.spec.name
    }
}
