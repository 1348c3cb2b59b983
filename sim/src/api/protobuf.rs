//! Kubernetes' protobuf bodies, which kubectl from 1.32 on sends for a few built-in kinds. Replies are always JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::store::ApiError;

/// What such a body starts with.
pub(super) const MAGIC: &[u8] = b"k8s\0";

/// A field of a message: number, JSON name, type. Numbers are those of the generated.proto files of k8s.io/api.
struct Field(u64, &'static str, Type);

#[derive(Clone, Copy)]
enum Type {
    Text,
    Texts,
    Int,
    Bool,
    /// Text by text.
    Map,
    /// Bytes by text; base64 in JSON.
    BytesMap,
    Message(&'static [Field]),
}

const METADATA: &[Field] = &[
    Field(1, "name", Type::Text),
    Field(2, "generateName", Type::Text),
    Field(3, "namespace", Type::Text),
    Field(5, "uid", Type::Text),
    Field(6, "resourceVersion", Type::Text),
    Field(11, "labels", Type::Map),
    Field(12, "annotations", Type::Map),
    Field(14, "finalizers", Type::Texts),
];
const PRECONDITIONS: &[Field] = &[Field(1, "uid", Type::Text), Field(2, "resourceVersion", Type::Text)];
const DELETE_OPTIONS: &[Field] = &[
    Field(1, "gracePeriodSeconds", Type::Int),
    Field(2, "preconditions", Type::Message(PRECONDITIONS)),
    Field(4, "propagationPolicy", Type::Text),
    Field(5, "dryRun", Type::Texts),
];
const EVICTION: &[Field] =
    &[Field(1, "metadata", Type::Message(METADATA)), Field(2, "deleteOptions", Type::Message(DELETE_OPTIONS))];
const RESOURCE_ATTRIBUTES: &[Field] = &[
    Field(1, "namespace", Type::Text),
    Field(2, "verb", Type::Text),
    Field(3, "group", Type::Text),
    Field(4, "version", Type::Text),
    Field(5, "resource", Type::Text),
    Field(6, "subresource", Type::Text),
    Field(7, "name", Type::Text),
];
const ACCESS_SPEC: &[Field] = &[Field(1, "resourceAttributes", Type::Message(RESOURCE_ATTRIBUTES))];
const ACCESS_REVIEW: &[Field] = &[Field(1, "metadata", Type::Message(METADATA)), Field(2, "spec", Type::Message(ACCESS_SPEC))];
const BARE: &[Field] = &[Field(1, "metadata", Type::Message(METADATA))];
const CONFIG_MAP: &[Field] = &[
    Field(1, "metadata", Type::Message(METADATA)),
    Field(2, "data", Type::Map),
    Field(3, "binaryData", Type::BytesMap),
    Field(4, "immutable", Type::Bool),
];
const SECRET: &[Field] = &[
    Field(1, "metadata", Type::Message(METADATA)),
    Field(2, "data", Type::BytesMap),
    Field(3, "type", Type::Text),
    Field(5, "immutable", Type::Bool),
];

/// The kinds that are read; the others are too large to be worth it.
const KINDS: &[(&str, &[Field])] = &[
    ("ConfigMap", CONFIG_MAP),
    ("DeleteOptions", DELETE_OPTIONS),
    ("Eviction", EVICTION),
    ("Namespace", BARE),
    ("Secret", SECRET),
    ("SelfSubjectAccessReview", ACCESS_REVIEW),
    ("SelfSubjectReview", BARE),
    ("ServiceAccount", BARE),
];

/// Reads a protobuf body as the JSON that it stands for.
pub(super) fn decode(body: &[u8]) -> Result<Value, ApiError> {
    let broken = || ApiError::bad_request("the protobuf body is broken");
    let envelope = body.strip_prefix(MAGIC).ok_or_else(broken)?;
    let (mut kind, mut version, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, value) in wire(envelope).ok_or_else(broken)? {
        match (number, value) {
            (1, Wire::Bytes(meta)) => {
                let meta =
                    message(&[Field(1, "apiVersion", Type::Text), Field(2, "kind", Type::Text)], meta).ok_or_else(broken)?;
                let text = |key: &str| meta[key].as_str().unwrap_or_default().to_owned();
                (version, kind) = (text("apiVersion"), text("kind"));
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let Some((_, fields)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let message = format!("the simulated server does not read a {kind} in protobuf; send it as JSON, e.g. by kubectl apply");
        return Err(ApiError::new(415, "UnsupportedMediaType", message));
    };
    let mut object = message(fields, raw).ok_or_else(broken)?;
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    Ok(object)
}

/// A value on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in their order; none when it is cut off or uses what Kubernetes does not.
fn wire(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Wire::Bytes(value)
            }
            _ => return None,
        };
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn message(fields: &[Field], bytes: &[u8]) -> Option<Value> {
    let mut object = json!({});
    for (number, value) in wire(bytes)? {
        let Some(Field(_, name, kind)) = fields.iter().find(|f| f.0 == number) else { continue };
        match (kind, value) {
            // Absent text and empty text are the same on the wire.
            (Type::Text, Wire::Bytes(text)) if !text.is_empty() => object[name] = json!(std::str::from_utf8(text).ok()?),
            (Type::Texts, Wire::Bytes(text)) => push(&mut object[name], json!(std::str::from_utf8(text).ok()?)),
            (Type::Int, Wire::Number(n)) => object[name] = json!(n.cast_signed()),
            (Type::Bool, Wire::Number(n)) => object[name] = json!(n != 0),
            (Type::Map | Type::BytesMap, Wire::Bytes(entry)) => {
                let (key, value) = map_entry(entry)?;
                let as_text = matches!(kind, Type::Map);
                object[name][key] = if as_text { json!(std::str::from_utf8(value).ok()?) } else { json!(BASE64.encode(value)) };
            }
            (Type::Message(fields), Wire::Bytes(inner)) => {
                let inner = message(fields, inner)?;
                if inner.as_object().is_some_and(|i| !i.is_empty()) {
                    object[name] = inner;
                }
            }
            (Type::Text, Wire::Bytes(_)) => {}
            (Type::Text | Type::Texts | Type::Map | Type::BytesMap | Type::Message(_), Wire::Number(_))
            | (Type::Int | Type::Bool, Wire::Bytes(_)) => return None,
        }
    }
    Some(object)
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => *list = json!([item]),
    }
}

fn map_entry(entry: &[u8]) -> Option<(&str, &[u8])> {
    let (mut key, mut value) = ("", &[][..]);
    for (number, part) in wire(entry)? {
        match (number, part) {
            (1, Wire::Bytes(text)) => key = std::str::from_utf8(text).ok()?,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap_or_default()], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &meta), &field(2, raw), &field(3, b""), &field(4, b"")].concat()
    }

    fn check(kind: &str, raw: &[u8], expect: &Result<Value, u16>) {
        let mut expect = expect.clone();
        if let Ok(object) = &mut expect {
            object["apiVersion"] = json!("v1");
            object["kind"] = json!(kind);
        }
        assert_eq!(decode(&body(kind, raw)).map_err(|e| e.code), expect, "{kind}");
    }

    #[test]
    fn bodies_become_json() {
        let entry = |key: &[u8], value: &[u8]| [field(1, key), field(2, value)].concat();
        let metadata = [field(1, b"m"), field(3, b""), field(11, &entry(b"a", b"")), field(14, b"x"), field(14, b"y")].concat();
        let map = [field(1, &metadata), field(2, &entry(b"k", b"v")), field(2, &entry(b"l", b"w"))].concat();
        let meta = json!({ "name": "m", "labels": { "a": "" }, "finalizers": ["x", "y"] });
        check("ConfigMap", &map, &Ok(json!({ "metadata": meta, "data": { "k": "v", "l": "w" } })));
        check("Secret", &field(2, &entry(b"k", &[0xff])), &Ok(json!({ "data": { "k": "/w==" } })));
        let options = [vec![8, 0x90, 0x03], field(2, &field(1, b"u")), field(5, b"All")].concat();
        let told = json!({ "gracePeriodSeconds": 400, "preconditions": { "uid": "u" }, "dryRun": ["All"] });
        check("DeleteOptions", &options, &Ok(told.clone()));
        check("Eviction", &field(2, &options), &Ok(json!({ "deleteOptions": told })));
        check("Deployment", &[], &Err(415));
        check("ConfigMap", &[0x0a, 9, 1], &Err(400));
        check("ConfigMap", &[0x80; 12], &Err(400));
        assert_eq!(decode(b"k8s\0\x0a").map_err(|e| e.code), Err(400));
    }
}
