//! The simulated cloud answers what the real services answer: the same table of requests is put to those of Debian's packages by
//! `tests/openstack_real/run`.
//!
//! Seen to fail with: a network that takes its pods' ports along; a security group that goes while a port has it; a load balancer that
//! is deleted while it is being updated; tags of which one is enough; a sub-port that is taken off another trunk.

mod openstack_support;
mod world_support;

use std::collections::BTreeMap;

use http::Method;
use openstack_support::{Answer, Cloud, kuryr};
use serde_json::Value;

const TABLE: &str = include_str!("../../tests/openstack_real/table.json");
/// Stands for an object that there is not.
const NOTHING: &str = "00000000-1111-4222-8333-444444444444";

#[tokio::test(start_paused = true)]
async fn the_simulated_cloud_answers_as_the_real_one_does() {
    let sim = kuryr();
    let (cloud, stranger) = (Cloud::of(&sim).await, Cloud::anonymous(&sim));
    let rows: Vec<Value> = serde_json::from_str(TABLE).expect("a table");
    let mut kept = BTreeMap::from([("nothing".to_owned(), NOTHING.to_owned())]);
    let mut wrong = vec![];
    for row in &rows {
        if let Some(balancer) = row["balancer"].as_str() {
            let balancer = filled(&Value::from(balancer), &kept);
            let status = row["becomes"].as_str().expect("a status");
            sim.openstack().expect("a cloud").set_load_balancer(balancer.as_str().expect("an id"), status);
            continue;
        }
        let ask = filled(&row["ask"], &kept);
        let (method, path) = ask.as_str().and_then(|ask| ask.split_once(' ')).expect("a request");
        let method: Method = method.parse().expect("a method");
        let client = if row["without_token"] == true { &stranger } else { &cloud };
        let answer = client.ask(method, path, filled(&row["body"], &kept)).await;
        wrong.extend(differences(row, &answer, &kept).into_iter().map(|words| format!("{ask}: {words}")));
        for (name, pointer) in row["keep"].as_object().into_iter().flatten() {
            let value = answer.body.pointer(pointer.as_str().expect("a pointer")).and_then(Value::as_str);
            kept.insert(name.clone(), value.unwrap_or_default().to_owned());
        }
    }
    assert!(rows.len() > 80 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A value with the names in it replaced by what was kept under them.
fn filled(value: &Value, kept: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            let mut names: Vec<&String> = kept.keys().collect();
            names.sort_by_key(|name| std::cmp::Reverse(name.len()));
            Value::from(names.iter().fold(text.clone(), |text, name| text.replace(&format!("${name}"), &kept[*name])))
        }
        Value::Array(all) => all.iter().map(|one| filled(one, kept)).collect(),
        Value::Object(all) => all.iter().map(|(key, one)| (key.clone(), filled(one, kept))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn differences(row: &Value, answer: &Answer, kept: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = vec![];
    if row["answers"] != answer.code {
        found.push(format!("answers {}, not {}: {}", answer.code, row["answers"], answer.body));
    }
    if row["type"].as_str().is_some_and(|kind| kind != answer.kind()) {
        found.push(format!("the type is {:?}, not {}", answer.kind(), row["type"]));
    }
    let words = filled(&row["says"], kept);
    if !answer.message().starts_with(words.as_str().unwrap_or_default()) {
        found.push(format!("says {:?}, not {words}", answer.message()));
    }
    for (pointer, value) in filled(&row["holds"], kept).as_object().into_iter().flatten() {
        if answer.body.pointer(pointer) != Some(value) {
            found.push(format!("{pointer} is {:?}, not {value}", answer.body.pointer(pointer)));
        }
    }
    for (pointer, number) in row["counts"].as_object().into_iter().flatten() {
        let count = answer.body.pointer(pointer).and_then(Value::as_array).map(Vec::len);
        if count.map(|count| count as u64) != number.as_u64() {
            found.push(format!("{pointer} has {count:?}, not {number}"));
        }
    }
    found
}
