//! Replies.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use super::body::SimBody;
use crate::store::ApiError;

/// What a handler answers.
pub(super) type Reply = Response<SimBody>;

pub(super) fn json<T: Serialize + ?Sized>(code: u16, value: &T) -> Reply {
    typed_json(code, value, HeaderValue::from_static("application/json"))
}

pub(super) fn typed_json<T: Serialize + ?Sized>(code: u16, value: &T, media: HeaderValue) -> Reply {
    match serde_json::to_vec(value) {
        Ok(bytes) => raw(code, bytes, media),
        Err(error) => raw(500, error.to_string().into_bytes(), HeaderValue::from_static("text/plain")),
    }
}

pub(super) fn text(text: &'static str) -> Reply {
    raw(200, text.as_bytes().to_vec(), HeaderValue::from_static("text/plain; charset=utf-8"))
}

pub(super) fn raw(code: u16, bytes: Vec<u8>, media: HeaderValue) -> Reply {
    with_body(code, SimBody::whole(bytes), media)
}

pub(super) fn with_body(code: u16, body: SimBody, media: HeaderValue) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, media);
    reply
}

pub(super) fn error(error: &ApiError) -> Reply {
    let mut reply = json(error.code, &error.to_status());
    if let Some(seconds) = error.retry_after {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// A `metav1.Status` that says that all went well.
pub(super) fn success(code: u16, details: &Value) -> Reply {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code, "details": details,
    });
    json(code, &status)
}
