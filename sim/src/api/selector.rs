//! Label and field selectors.

use serde_json::Value;

use crate::store::{ApiError, Resource, resources};

/// Which objects of a collection a client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    pointer: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads the query form of both selectors.
    pub fn parse(r: &Resource, labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self { labels: parse_labels(labels.unwrap_or_default())?, fields: parse_fields(r, fields.unwrap_or_default())? })
    }

    /// Reads the object form: `matchLabels` and `matchExpressions`; one that is empty selects everything.
    pub fn of_object(selector: &Value) -> Result<Self, ApiError> {
        let mut labels = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            labels.push(Requirement { key: key.clone(), operator: Operator::In(vec![text(value)]) });
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let values = expression["values"].as_array().into_iter().flatten().map(text).collect();
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In(values),
                "NotIn" => Operator::NotIn(values),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(ApiError::bad_request(format!("{other:?} is not a valid label selector operator"))),
            };
            labels.push(Requirement { key: text(&expression["key"]), operator });
        }
        Ok(Self { labels, fields: Vec::new() })
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|r| r.matches(labels.get(&r.key).and_then(Value::as_str)))
            && self.fields.iter().all(|t| t.matches(object))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        match (&self.operator, value) {
            (Operator::In(values), Some(value)) => values.iter().any(|v| v == value),
            (Operator::NotIn(values), Some(value)) => !values.iter().any(|v| v == value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::In(_), None) => false,
            (Operator::NotIn(_), None) => true,
        }
    }
}

impl FieldTerm {
    fn matches(&self, object: &Value) -> bool {
        let actual = object.pointer(&self.pointer).map(text).unwrap_or_default();
        (actual == self.value) == self.equal
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// Splits at commas that are not inside parentheses.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|t| !t.is_empty())
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    terms(text)
        .map(|term| {
            parse_label(term).ok_or_else(|| ApiError::bad_request(format!("unable to parse requirement: {term:?} is not valid")))
        })
        .collect()
}

fn parse_label(term: &str) -> Option<Requirement> {
    let is_key =
        |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    let make = |key: &str, operator| is_key(key.trim()).then(|| Requirement { key: key.trim().to_owned(), operator });
    if let Some(key) = term.strip_prefix('!') {
        return make(key, Operator::DoesNotExist);
    }
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = term.split_once("!=") {
        return make(key, Operator::NotIn(one(value)));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return make(key, Operator::In(one(value)));
    }
    if let Some((head, values)) = term.strip_suffix(')').and_then(|t| t.split_once('(')) {
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => make(key, Operator::In(values)),
            "notin" => make(key, Operator::NotIn(values)),
            _ => None,
        };
    }
    make(term, Operator::Exists)
}

/// Fields that can be selected on, beyond name and namespace.
fn selectable(r: &Resource) -> &'static [&'static str] {
    if *r == resources::PODS {
        &["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP"]
    } else if *r == resources::NODES {
        &["spec.unschedulable"]
    } else if *r == resources::NAMESPACES {
        &["status.phase"]
    } else if *r == resources::SECRETS {
        &["type"]
    } else if *r == resources::EVENTS {
        &["involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid", "reason", "type"]
    } else if *r == resources::CERTIFICATESIGNINGREQUESTS {
        &["spec.signerName"]
    } else {
        &[]
    }
}

fn parse_fields(r: &Resource, text: &str) -> Result<Vec<FieldTerm>, ApiError> {
    terms(text).map(|term| parse_field(r, term)).collect()
}

fn parse_field(r: &Resource, term: &str) -> Result<FieldTerm, ApiError> {
    let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, value, true)
    } else {
        return Err(ApiError::bad_request(format!("invalid selector: {term:?}; can't understand it")));
    };
    let path = path.trim();
    if !matches!(path, "metadata.name" | "metadata.namespace") && !selectable(r).contains(&path) {
        return Err(ApiError::bad_request(format!(
            "Unable to find {:?} that match label selector \"\", field selector {term:?}: field label not supported: {path}",
            r.qualified()
        )));
    }
    Ok(FieldTerm { pointer: format!("/{}", path.replace('.', "/")), value: value.trim().to_owned(), equal })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(labels: &str, fields: &str, expect: Option<bool>) {
        let pod = json!({
            "metadata": { "name": "p", "namespace": "x", "labels": { "app": "web", "tier": "front", "a/b": "" } },
            "spec": { "nodeName": "n1" }, "status": { "phase": "Running" },
        });
        let selector = Selector::parse(&resources::PODS, Some(labels), Some(fields)).ok();
        assert_eq!(selector.map(|s| s.matches(&pod)), expect, "labels {labels:?} fields {fields:?}");
    }

    #[test]
    fn label_selectors() {
        check("", "", Some(true));
        check("app=web", "", Some(true));
        check("app==web,tier=front", "", Some(true));
        check("app=api", "", Some(false));
        check("app!=api", "", Some(true));
        check("other!=api", "", Some(true));
        check("app in (api, web),tier", "", Some(true));
        check("app notin (api,web)", "", Some(false));
        check("other notin (api,web)", "", Some(true));
        check("!other", "", Some(true));
        check("!app", "", Some(false));
        check("a/b=", "", Some(true));
        check("app like web", "", None);
        check("app in web)", "", None);
    }

    #[test]
    fn field_selectors() {
        check("", "metadata.name=p", Some(true));
        check("", "metadata.namespace!=x", Some(false));
        check("", "spec.nodeName=n1,status.phase!=Failed", Some(true));
        check("", "spec.nodeName=", Some(false));
        check("", "spec.hostname=n1", None);
        check("", "nonsense", None);
    }

    #[test]
    fn object_selectors() {
        let selector = json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["front"] }, { "key": "x", "operator": "DoesNotExist" }],
        });
        let selector = Selector::of_object(&selector).expect("a valid selector");
        assert!(selector.matches(&json!({ "metadata": { "labels": { "app": "web", "tier": "front" } } })));
        assert!(!selector.matches(&json!({ "metadata": { "labels": { "app": "web" } } })));
        assert!(Selector::of_object(&json!({ "matchExpressions": [{ "key": "x", "operator": "Near" }] })).is_err());
    }
}
