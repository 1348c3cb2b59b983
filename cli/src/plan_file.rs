//! Plan files on disk, and the key that signs them. What a plan file is: `workflows/src/plan_file.rs`.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use windlass_engine::{Json, Timestamp};
use windlass_workflows::{PlanFile, PlanFileError};

use crate::failure::{Failure, Kind};
use crate::words;

/// A plan file larger than this is none.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The file that holds the key with which plans are signed, beside the journal.
const KEY_FILE: &str = "signing.key";

/// What helps against every plan that is refused.
const NEXT: &str = "make a new one with `windlass plan WORKFLOW … --out FILE`";

/// Signs a plan and writes it to a file that only its owner can read.
pub(crate) fn write(plan: PlanFile, path: &Path, key: &SigningKey) -> Result<(), Failure> {
    let text = plan.signed(key.public(), &|bytes| key.sign(bytes)).map_err(|e| {
        let message = format!("the plan can't be written down: {e}");
        Failure::new(Kind::Failed, message, "plan again")
    })?;
    let failed = |e| Failure::io("writing the plan to", path, &e);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Reads a plan file and refuses it unless somebody who is trusted signed exactly this, and it has not expired.
pub(crate) fn read(path: &Path, now: Timestamp, trusted: &[String]) -> Result<PlanFile, Failure> {
    let failed = |e| Failure::io("reading the plan in", path, &e);
    let mut text = Vec::new();
    // What is no regular file says nothing of its length, and may have no end.
    File::open(path).map_err(failed)?.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Failure::usage(format!("{} is no plan: it has more than {MOST_BYTES} bytes", path.display()), NEXT));
    }
    PlanFile::read(&text, now, trusted).map_err(|error| refused(path, &error))
}

/// The input of a plan's run as a run takes it.
pub(crate) fn input(plan: &PlanFile) -> Result<Json, Failure> {
    Json::of(&plan.input).map_err(|e| Failure::usage(format!("the plan's input can't be read: {e}"), "plan again"))
}

fn refused(path: &Path, error: &PlanFileError) -> Failure {
    let name = path.display();
    match error {
        PlanFileError::Expired { made_at, expires_at } => {
            let (made, expired) = (words::moment(*made_at), words::moment(*expires_at));
            Failure::usage(format!("{name}, made at {made}, has expired at {expired}"), NEXT)
        }
        PlanFileError::Stranger { key, .. } => {
            Failure::usage(format!("{name} {error}"), format!("if you trust whoever made it, add --signer {key}"))
        }
        PlanFileError::Foreign(_)
        | PlanFileError::OtherFormat(_)
        | PlanFileError::Unsigned
        | PlanFileError::Changed
        | PlanFileError::OtherDigest(_) => Failure::usage(format!("{name} {error}"), NEXT),
    }
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
