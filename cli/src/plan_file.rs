//! Plan files: a plan as it was shown, signed by who made it, good for a while, and carried out exactly.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_engine::{Json, Timestamp};
use windlass_workflows::Plan;

use crate::failure::{Failure, Kind};
use crate::words;

/// The format that this build writes and reads.
const FORMAT: u32 = 1;

/// A plan file larger than this is none.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The file that holds the key with which plans are signed, beside the journal.
const KEY_FILE: &str = "signing.key";

/// A plan to be carried out as it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
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
    pub(crate) input: Value,
    /// What was shown.
    pub(crate) plan: Plan,
    /// Who vouches for all of the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
}

/// A signature (Ed25519) over everything else in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The public key.
    key: String,
    /// The signature.
    value: String,
}

impl PlanFile {
    /// A plan that is good from `now` for `valid`.
    pub(crate) fn new(plan: Plan, input: &Json, made_by: String, now: Timestamp, valid: Duration) -> Self {
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

    /// The input as a run takes it.
    pub(crate) fn input(&self) -> Result<Json, Failure> {
        Json::of(&self.input).map_err(|e| Failure::usage(format!("the plan's input can't be read: {e}"), "plan again"))
    }

    /// Signs it and writes it to a file that only its owner can read.
    pub(crate) fn write(mut self, path: &Path, key: &SigningKey) -> Result<(), Failure> {
        let value = key.sign(self.signed_text()?.as_bytes());
        self.signature = Some(Signature { key: key.public(), value });
        let mut text = serde_json::to_string_pretty(&self).map_err(|e| unwritable(&e))?;
        text.push('\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| Failure::io("writing the plan to", path, &e))?;
        file.write_all(text.as_bytes()).map_err(|e| Failure::io("writing the plan to", path, &e))
    }

    /// Reads a plan file and refuses it unless somebody who is trusted signed exactly this, and it has not expired.
    pub(crate) fn read(path: &Path, now: Timestamp, trusted: &[String]) -> Result<Self, Failure> {
        let name = path.display();
        let size = std::fs::metadata(path).map_err(|e| Failure::io("reading the plan in", path, &e))?.len();
        if size > MOST_BYTES {
            return Err(Failure::usage(format!("{name} is no plan: it has {size} bytes"), NEXT));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Failure::io("reading the plan in", path, &e))?;
        let format = serde_json::from_str::<Value>(&text).map(|value| value["windlass_plan"].as_u64());
        if let Ok(Some(format)) = format
            && format != u64::from(FORMAT)
        {
            return Err(Failure::usage(format!("{name} is a plan of format {format}, this build reads {FORMAT}"), NEXT));
        }
        let file: Self = serde_json::from_str(&text).map_err(|e| Failure::usage(format!("{name} is no plan: {e}"), NEXT))?;
        file.check_signature(&name.to_string(), trusted)?;
        if file.plan.digest != file.plan.digest_of_content() {
            return Err(Failure::usage(format!("{name} does not have the digest that it says, {}", file.plan.digest), NEXT));
        }
        if file.expires_at <= now {
            let (made, expired) = (words::moment(file.made_at), words::moment(file.expires_at));
            return Err(Failure::usage(format!("{name}, made at {made}, has expired at {expired}"), NEXT));
        }
        Ok(file)
    }

    fn check_signature(&self, name: &str, trusted: &[String]) -> Result<(), Failure> {
        let Some(signature) = &self.signature else {
            return Err(Failure::usage(format!("{name} is not signed"), NEXT));
        };
        let decoded = |text: &str| BASE64.decode(text).unwrap_or_default();
        let key = UnparsedPublicKey::new(&ED25519, decoded(&signature.key));
        if key.verify(self.signed_text()?.as_bytes(), &decoded(&signature.value)).is_err() {
            return Err(Failure::usage(format!("{name} was changed after it was signed"), NEXT));
        }
        if !trusted.contains(&signature.key) {
            let message = format!("{name} is signed by {} with a key that is not yours: {}", self.made_by, signature.key);
            return Err(Failure::usage(message, format!("if you trust whoever made it, add --signer {}", signature.key)));
        }
        Ok(())
    }

    /// Everything but the signature, in one spelling: keys sorted, no spaces.
    fn signed_text(&self) -> Result<String, Failure> {
        let mut value = serde_json::to_value(self).map_err(|e| unwritable(&e))?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        Ok(value.to_string())
    }
}

/// What helps against every plan that is refused.
const NEXT: &str = "make a new one with `windlass plan WORKFLOW … --out FILE`";

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::Failed, format!("the plan can't be written down: {error}"), "plan again")
}

/// The key with which this journal's owner signs plans.
pub(crate) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads the key beside the journal; makes one if there is none.
    pub(crate) fn of(journal: &Path) -> Result<Self, Failure> {
        match Self::known(journal)? {
            Some(key) => Ok(key),
            None => Self::parse(&Self::make(journal, &journal.join(KEY_FILE))?, journal),
        }
    }

    /// Reads the key beside the journal, if there is one.
    pub(crate) fn known(journal: &Path) -> Result<Option<Self>, Failure> {
        let path = journal.join(KEY_FILE);
        match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            outcome => {
                let bytes = outcome.map_err(|e| Failure::io("reading the key in", &path, &e))?;
                Self::parse(&bytes, journal).map(Some)
            }
        }
    }

    fn parse(bytes: &[u8], journal: &Path) -> Result<Self, Failure> {
        let key = Ed25519KeyPair::from_pkcs8(bytes).map_err(|e| {
            let name = journal.join(KEY_FILE).display().to_string();
            Failure::usage(format!("{name} is no signing key: {e}"), "move it aside, then retry; a new one is made")
        })?;
        Ok(Self(key))
    }

    fn make(journal: &Path, path: &Path) -> Result<Vec<u8>, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(journal);
        made.map_err(|e| Failure::io("making the journal's directory", journal, &e))?;
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| {
            Failure::new(
                Kind::Failed,
                "the system gives no randomness for a signing key",
                "look at /dev/urandom, then plan again",
            )
        })?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| Failure::io("making the key in", path, &e))?;
        file.write_all(document.as_ref()).map_err(|e| Failure::io("making the key in", path, &e))?;
        file.sync_all().map_err(|e| Failure::io("making the key in", path, &e))?;
        Ok(document.as_ref().to_vec())
    }

    /// A signature in base64.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        BASE64.encode(self.0.sign(bytes).as_ref())
    }

    /// The public half, as it is named on the command line.
    pub(crate) fn public(&self) -> String {
        BASE64.encode(self.0.public_key().as_ref())
    }
}

#[cfg(test)]
mod tests;
