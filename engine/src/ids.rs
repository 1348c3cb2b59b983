//! Names and numbers that identify things in a journal, each its own type so that two of them can't be swapped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies one execution of a workflow; a uuid v7, so that runs sort by the time they were created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// Makes the id of a new run from the time of its creation and ten random bytes.
    pub fn new(created: crate::Timestamp, entropy: [u8; 10]) -> Self {
        let millis = u64::try_from(created.as_micros().max(0) / 1000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
    }

    /// Makes the id of a new run from the machine's own entropy.
    pub fn generate(created: crate::Timestamp) -> Self {
        let random = Uuid::now_v7();
        let mut entropy = [0; 10];
        entropy.copy_from_slice(&random.as_bytes()[6..]);
        Self::new(created, entropy)
    }

    /// The sixteen bytes, big-endian, as they stand in records and store keys.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads back what [`RunId::as_bytes`] gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Numbers the commands of a run in the order in which its workflow asked for them, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u32);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name under which an activity is registered and journaled; it never changes once released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActivityName(&'static str);

impl ActivityName {
    /// Names an activity, in kebab case: `"pause-pool"`.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ActivityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
