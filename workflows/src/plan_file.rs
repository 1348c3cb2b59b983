//! Plan files: a plan as it was shown, signed by who made it, good for a while, and carried out exactly.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_engine::{Json, Timestamp, signed_by};

use crate::plan::Plan;

/// The format that this build writes and reads.
const FORMAT: u32 = 1;

/// A plan to be carried out as it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The format.
    windlass_plan: u32,
    /// When it was made.
    made_at: Timestamp,
    /// After this it is not carried out any more.
    expires_at: Timestamp,
    /// Who made it.
    made_by: String,
    /// With which build.
    build: String,
    /// The run's input, with everything pinned.
    pub input: Value,
    /// What was shown.
    pub plan: Plan,
    /// Who vouches for all of the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
}

/// A signature (Ed25519, base64) over everything else in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The public key.
    key: String,
    /// The signature.
    value: String,
}

/// The format alone, which is looked at before anything else.
#[derive(Deserialize)]
struct AnyFormat {
    windlass_plan: u64,
}

/// Why a file is not a plan to be carried out; the words follow on the name of the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It is something else.
    #[error("is no plan: {0}")]
    Foreign(String),
    /// Another windlass wrote it.
    #[error("is a plan of format {0}, this build reads {FORMAT}")]
    OtherFormat(u64),
    /// Nobody vouches for it.
    #[error("is not signed")]
    Unsigned,
    /// The signature is under something else.
    #[error("was changed after it was signed")]
    Changed,
    /// Somebody vouches for it who is not trusted.
    #[error("is signed by {by} with a key that is not yours: {key}")]
    Stranger {
        /// Who, as they say.
        by: String,
        /// The public key.
        key: String,
    },
    /// What was signed does not agree with itself.
    #[error("does not have the digest that it says, {0}")]
    OtherDigest(String),
    /// It was good for a while only.
    #[error("was made at {made_at} and has expired at {expires_at}")]
    Expired {
        /// When it was made.
        made_at: Timestamp,
        /// Since when it is not carried out any more.
        expires_at: Timestamp,
    },
}

impl PlanFile {
    /// A plan that is good from `now` for `valid`.
    pub fn new(plan: Plan, input: &Json, made_by: String, now: Timestamp, valid: Duration) -> Self {
        Self {
            windlass_plan: FORMAT,
            made_at: now,
            expires_at: now.plus(valid),
            made_by,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            input: input.to_value(),
            plan,
            signature: None,
        }
    }

    /// The text of the file, signed by the holder of a public key.
    pub fn signed(mut self, key: String, sign: &dyn Fn(&[u8]) -> String) -> Result<String, serde_json::Error> {
        let value = sign(self.signed_text()?.as_bytes());
        self.signature = Some(Signature { key, value });
        let mut text = serde_json::to_string_pretty(&self)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads the text of a file and refuses it unless somebody who is trusted signed exactly this, and it has not expired.
    pub fn read(text: &[u8], now: Timestamp, trusted: &[String]) -> Result<Self, PlanFileError> {
        match serde_json::from_slice::<AnyFormat>(text) {
            Ok(other) if other.windlass_plan != u64::from(FORMAT) => return Err(PlanFileError::OtherFormat(other.windlass_plan)),
            Ok(_) | Err(_) => {}
        }
        let file: Self = serde_json::from_slice(text).map_err(|e| PlanFileError::Foreign(e.to_string()))?;
        file.check_signature(trusted)?;
        if file.plan.digest != file.plan.digest_of_content() {
            return Err(PlanFileError::OtherDigest(file.plan.digest));
        }
        if file.expires_at <= now {
            return Err(PlanFileError::Expired { made_at: file.made_at, expires_at: file.expires_at });
        }
        Ok(file)
    }

    fn check_signature(&self, trusted: &[String]) -> Result<(), PlanFileError> {
        let Some(Signature { key, value }) = &self.signature else { return Err(PlanFileError::Unsigned) };
        let text = self.signed_text().map_err(|e| PlanFileError::Foreign(e.to_string()))?;
        if !signed_by(key, text.as_bytes(), value) {
            return Err(PlanFileError::Changed);
        }
        if !trusted.contains(key) {
            return Err(PlanFileError::Stranger { by: self.made_by.clone(), key: key.clone() });
        }
        Ok(())
    }

    /// Everything but the signature, in one spelling: keys sorted, no spaces.
    fn signed_text(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        Ok(value.to_string())
    }
}
