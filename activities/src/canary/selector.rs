//! Label selectors as people write them on command lines.

use crate::views::{LabelSelector, Requirement};

/// Reads `zone=a,!gpu,tier in (web, api)` as the API server would.
pub(super) fn parse_selector(text: &str) -> Result<LabelSelector, String> {
    let parts = split_outside_brackets(text);
    let requirements = parts.iter().map(|part| requirement(part.trim()));
    let match_expressions = requirements.collect::<Option<Vec<_>>>().filter(|list| !list.is_empty()).ok_or_else(|| {
        format!("{text:?} is no label selector; write key=value, key!=value, key in (a,b), key or !key, with commas between")
    })?;
    Ok(LabelSelector { match_expressions, ..LabelSelector::default() })
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(move |c: char| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    })
    .collect()
}

fn requirement(part: &str) -> Option<Requirement> {
    let found = |key: &str, operator: &str, values: Vec<&str>| {
        let values: Vec<String> = values.into_iter().map(|value| value.trim().to_owned()).collect();
        let usable = is_key(key.trim()) && values.iter().all(|value| is_value(value));
        usable.then(|| Requirement { key: key.trim().to_owned(), operator: operator.to_owned(), values })
    };
    if let Some((head, set)) = part.split_once('(') {
        let values: Vec<&str> = set.strip_suffix(')')?.split(',').collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        let operator = match operator {
            "in" => "In",
            "notin" => "NotIn",
            _ => return None,
        };
        return found(key, operator, values);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return found(key, "NotIn", vec![value]);
    }
    if let Some((key, value)) = part.split_once('=') {
        return found(key, "In", vec![value.strip_prefix('=').unwrap_or(value)]);
    }
    match part.strip_prefix('!') {
        Some(key) => found(key, "DoesNotExist", Vec::new()),
        None => found(part, "Exists", Vec::new()),
    }
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
    !prefix.is_empty() && !name.is_empty() && is_value(prefix) && is_value(name)
}

fn is_value(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn selectors_are_read_as_the_server_reads_them() {
        let labels: BTreeMap<String, String> =
            [("zone", "a"), ("k.io/gpu", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let check = |text: &str, expect: Option<bool>| {
            let outcome = parse_selector(text).ok().map(|selector| selector.selects(Some(&labels)));
            assert_eq!(outcome, expect, "{text}");
        };
        check("zone=a", Some(true));
        check("zone==a", Some(true));
        check("zone!=a", Some(false));
        check("tier!=web", Some(true));
        check("zone in (b, a)", Some(true));
        check("zone notin (a,b),k.io/gpu", Some(false));
        check("k.io/gpu,zone in (a)", Some(true));
        check("!k.io/gpu", Some(false));
        check("k.io/gpu=", Some(true));
        check("", None);
        check("zone=a,", None);
        check("zone===a", None);
        check("zone within (a)", None);
        check("zone in (a", None);
        check("a b=c", None);
        check("/x=c", None);
    }
}
