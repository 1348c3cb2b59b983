//! Addresses in the environment of a container: read from templates and pods, and changed with what they were as precondition.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::views::PodSpec;

/// A variable of a container that lists addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// The addresses, in order.
    pub(super) addresses: Vec<IpAddr>,
    container: (usize, String),
    variable: (usize, String),
    text: String,
}

impl Told {
    /// Reads the variable; says why if it is not there or can't be read.
    pub(super) fn read(spec: &PodSpec, container: &str, variable: &str) -> Result<Self, String> {
        let found = spec.containers.iter().enumerate().find(|(_, one)| one.name == container);
        let (at, found) = found.ok_or_else(|| format!("there is no container {container}"))?;
        let last = found.env.iter().enumerate().rev().find(|(_, one)| one.name == variable);
        let (index, last) = last.ok_or_else(|| format!("container {container} has no {variable}"))?;
        let text = last.value.clone().ok_or_else(|| format!("{variable} of container {container} is taken from elsewhere"))?;
        let addresses =
            addresses(&text).map_err(|word| format!("{variable} of container {container} has {word:?}, no address"))?;
        Ok(Self { addresses, container: (at, container.to_owned()), variable: (index, variable.to_owned()), text })
    }

    /// The operations of a JSON patch on the object with this template: the variable as it was read, then as it shall be.
    pub(super) fn change(&self, to: &[IpAddr]) -> Vec<Value> {
        let container = format!("/spec/template/spec/containers/{}", self.container.0);
        let variable = format!("{container}/env/{}", self.variable.0);
        vec![
            json!({"op": "test", "path": format!("{container}/name"), "value": self.container.1}),
            json!({"op": "test", "path": variable, "value": {"name": self.variable.1, "value": self.text}}),
            json!({"op": "replace", "path": format!("{variable}/value"), "value": super::list(to)}),
        ]
    }
}

/// The same for a plan, which does not know the places.
pub(super) fn change_in_words(container: &str, variable: &str, to: &[IpAddr]) -> Value {
    let path = format!("/spec/template/spec/containers/[{container}]/env/[{variable}]/value");
    json!({"op": "replace", "path": path, "value": super::list(to)})
}

/// Addresses with commas between them; the first word that is none is the error.
fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|_| word.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(env: &Value) -> PodSpec {
        serde_json::from_value(json!({"containers": [{"name": "init"}, {"name": "main", "env": env}]})).unwrap()
    }

    #[test]
    fn addresses_are_read_from_the_container_that_is_named() {
        let check = |env: Value, expect: Result<&str, &str>| {
            let read = Told::read(&spec(&env), "main", "IPS").map(|told| super::super::list(&told.addresses));
            assert_eq!(read, expect.map(str::to_owned).map_err(str::to_owned), "{env}");
        };
        check(json!([{"name": "IPS", "value": "10.0.0.1, fd00::2"}]), Ok("10.0.0.1,fd00::2"));
        check(json!([{"name": "IPS", "value": "10.0.0.1"}, {"name": "IPS", "value": "10.0.0.2"}]), Ok("10.0.0.2"));
        check(json!([{"name": "IPS", "value": ""}]), Ok(""));
        check(json!([{"name": "IPS", "value": "10.0.0.1,node-b"}]), Err("IPS of container main has \"node-b\", no address"));
        check(json!([{"name": "IPS", "valueFrom": {"fieldRef": {}}}]), Err("IPS of container main is taken from elsewhere"));
        check(json!([{"name": "OTHER", "value": "10.0.0.1"}]), Err("container main has no IPS"));
        assert_eq!(Told::read(&spec(&json!([])), "else", "IPS").unwrap_err(), "there is no container else");
    }

    /// Seen to fail with: the text tested as it would be written, without the blank that it has.
    #[test]
    fn a_change_tests_what_was_read_letter_by_letter() {
        let told =
            Told::read(&spec(&json!([{"name": "A"}, {"name": "IPS", "value": "10.0.0.1, 10.0.0.2"}])), "main", "IPS").unwrap();
        let expect = json!([
            {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "main"},
            {"op": "test", "path": "/spec/template/spec/containers/1/env/1", "value": {"name": "IPS", "value": "10.0.0.1, 10.0.0.2"}},
            {"op": "replace", "path": "/spec/template/spec/containers/1/env/1/value", "value": "10.0.0.1"},
        ]);
        assert_eq!(Value::from(told.change(&["10.0.0.1".parse().unwrap()])), expect);
    }
}
