//! Bearer tokens.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};

use super::request::header_text;
use crate::store::ApiError;

/// Who may talk to the server: everybody in memory, holders of the token over HTTP.
#[derive(Debug, Default)]
pub(crate) struct Auth(Mutex<Option<Token>>);

#[derive(Debug)]
struct Token {
    current: String,
    /// Where a new login is written.
    file: PathBuf,
}

impl Auth {
    /// Asks for this token from now on; a new one in `file` takes its place.
    pub(crate) fn require(&self, token: String, file: PathBuf) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Token { current: token, file });
    }

    /// Refuses a request without a valid token. When the login has `expired`, only a token that was written since is valid.
    pub(crate) fn check(&self, headers: &HeaderMap, expired: bool) -> Result<(), ApiError> {
        let auth = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = auth.as_ref() else { return if expired { Err(unauthorized()) } else { Ok(()) } };
        let given = header_text(headers, header::AUTHORIZATION);
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        if given == token.current && !expired {
            return Ok(());
        }
        let written = std::fs::read_to_string(&token.file).unwrap_or_default();
        let renewed = !written.trim().is_empty() && written.trim() != token.current && given == written.trim();
        if renewed { Ok(()) } else { Err(unauthorized()) }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(401, "Unauthorized", "Unauthorized")
}
