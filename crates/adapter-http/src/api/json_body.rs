//! Request bodies, which are JSON objects.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::web;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The JSON body of a request.
pub(crate) type Body<T> = web::Json<Object<T>>;

/// A value that is read from a JSON object only. The code that serde derives for structs also
/// accepts an array of their fields by position.
pub(crate) struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// A whole number; JSON may write it as `540.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let expected = || D::Error::custom("expected a whole number");
        let number = serde_json::Number::deserialize(value).map_err(|_| expected())?;
        let whole = number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
            format!("{float:.0}").parse().ok()
        });
        whole.map(Self).ok_or_else(expected)
    }
}

/// Reads an optional field that is an object.
pub(crate) fn optional_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    let object = Option::<Object<T>>::deserialize(value)?;
    Ok(object.map(|Object(value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_number_may_have_a_fraction_of_zero() {
        let read = |text: &str| serde_json::from_str(text).ok().map(|Whole(number)| number);
        assert_eq!(read("540"), Some(540));
        assert_eq!(read("540.0"), Some(540));
        assert_eq!(read("-5.4e1"), Some(-54));
        for text in ["0.5", "1e300", "true", "null", "[]", "\"1\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
