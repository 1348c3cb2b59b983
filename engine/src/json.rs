//! A JSON value kept as the text it was written in: inputs, outputs and evidence.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A recorded JSON value; compared by meaning, not by spelling.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Serialises a value; fails only for values that JSON cannot hold (a map with keys that are not text).
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// JSON's `null`.
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// Reads the value back as a type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }

    /// The value as a tree, for display and for finding differences.
    pub fn to_value(&self) -> serde_json::Value {
        // A `RawValue` was checked to be JSON when it was made.
        serde_json::from_str(self.0.get()).unwrap_or(serde_json::Value::Null)
    }

    /// The text as recorded.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The first place where two values differ: a path such as `pools[1].name`, and both values there.
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        if self.as_str() == other.as_str() {
            return None;
        }
        difference_at(String::new(), &self.to_value(), &other.to_value())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.first_difference(other).is_none()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where two JSON values part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path of the field; empty when the values differ as a whole.
    pub path: String,
    /// What the left value has there; `(absent)` if nothing.
    pub left: String,
    /// What the right value has there; `(absent)` if nothing.
    pub right: String,
}

fn difference_at(path: String, left: &serde_json::Value, right: &serde_json::Value) -> Option<Difference> {
    use serde_json::Value;
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference_between(below, a.get(key), b.get(key))
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            (0..a.len().max(b.len())).find_map(|i| difference_between(format!("{path}[{i}]"), a.get(i), b.get(i)))
        }
        (a, b) if a == b => None,
        (a, b) => Some(Difference { path, left: a.to_string(), right: b.to_string() }),
    }
}

fn difference_between(path: String, left: Option<&serde_json::Value>, right: Option<&serde_json::Value>) -> Option<Difference> {
    match (left, right) {
        (Some(a), Some(b)) => difference_at(path, a, b),
        (None, None) => None,
        (a, b) => {
            let show = |v: Option<&serde_json::Value>| v.map_or_else(|| "(absent)".to_owned(), ToString::to_string);
            Some(Difference { path, left: show(a), right: show(b) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let check = |a: &str, b: &str, expect: Option<(&str, &str, &str)>| {
            let (a, b): (Json, Json) = (serde_json::from_str(a).unwrap(), serde_json::from_str(b).unwrap());
            let found = a.first_difference(&b);
            assert_eq!(found.as_ref().map(|d| (d.path.as_str(), d.left.as_str(), d.right.as_str())), expect);
        };
        check(r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1 }"#, None);
        check(r#"{"a":1}"#, r#"{"a":2}"#, Some(("a", "1", "2")));
        check(r#"{"p":[{"n":"x"},{"n":"y"}]}"#, r#"{"p":[{"n":"x"},{"n":"z"}]}"#, Some(("p[1].n", "\"y\"", "\"z\"")));
        check(r#"{"a":1}"#, r#"{"a":1,"c":true}"#, Some(("c", "(absent)", "true")));
        check("1", "2", Some(("", "1", "2")));
    }
}
