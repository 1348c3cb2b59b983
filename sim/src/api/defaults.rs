//! What the API server adds to an object before it looks whether it is valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::store::{Resource, resources};

/// Fills in what the author left to the server.
pub(super) fn fill(r: &Resource, object: &mut Value) {
    if *r == resources::SECRETS {
        fill_secret(object);
    }
}

/// Text that was given as such takes its place among the encoded data.
fn fill_secret(secret: &mut Value) {
    let given = secret.as_object_mut().and_then(|secret| secret.remove("stringData"));
    // Data that is no map is refused in the next moment.
    let fits = secret["data"].is_null() || secret["data"].is_object();
    for (key, text) in given.iter().filter(|_| fits).filter_map(Value::as_object).flatten() {
        secret["data"][key] = text.as_str().map_or_else(|| text.clone(), |text| json!(BASE64.encode(text)));
    }
    if secret["type"].as_str().unwrap_or_default().is_empty() {
        secret["type"] = json!("Opaque");
    }
}
