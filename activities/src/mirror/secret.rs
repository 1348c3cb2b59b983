//! The Secrets of a mirror, written and read.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::mirror::{Chunk, ChunkDigest, ChunkError, MirrorError, events};
use windlass_engine::{Record, RunId};

use crate::views::{View as _, view};

/// What all of them are of.
const TYPE: &str = "windlass.dev/mirror";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const TOOL: &str = "windlass";
/// The journal whose records they hold.
const JOURNAL: &str = "windlass.dev/journal";
const RUN: &str = "windlass.dev/run";
const CHUNK: &str = "windlass.dev/chunk";
/// In hex, over what they hold and where they stand, so that an edit shows.
const DIGEST: &str = "windlass.dev/digest";
/// Where the data stands.
const KEY: &str = "records";
const ABOUT_KEY: &str = "about";

/// Raised by whatever a reader of this build would not understand.
const FORMAT: u32 = 1;

/// A Secret, as far as a mirror needs it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Secret {
    pub(super) metadata: ObjectMeta,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "crate::views::nullable")]
    data: BTreeMap<String, String>,
}
view!(Secret, Namespaced, "", "v1", "Secret", "secrets");

/// What a mirror says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) format: u32,
    /// Whether nothing was changed outside before the mirror had the intent.
    pub(super) required: bool,
    /// How many chunks there are of each run. One beyond them was never acknowledged.
    pub(super) chunks: BTreeMap<RunId, u32>,
    /// Runs that have ended, of which nothing else is kept.
    pub(super) let_go: BTreeSet<RunId>,
}

impl Default for About {
    fn default() -> Self {
        Self { format: FORMAT, required: false, chunks: BTreeMap::new(), let_go: BTreeSet::new() }
    }
}

impl About {
    /// How many chunks there are of all runs.
    pub(super) fn total(&self) -> u32 {
        self.chunks.values().sum()
    }
}

/// Something that a Secret holds, and the Secret as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept<T> {
    pub(super) what: T,
    pub(super) place: Place,
}

/// Where something is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: String,
}

impl Place {
    pub(super) fn of(secret: &Secret) -> Self {
        let (name, uid, version) = (secret.name(), secret.uid_text(), secret.meta_version());
        Self { name: name.to_owned(), uid: uid.to_owned(), version: version.to_owned() }
    }
}

/// Which mirrors are meant.
pub(super) fn labels(journal: Option<&str>) -> String {
    journal.map_or_else(|| format!("{MANAGED_BY}={TOOL},{JOURNAL}"), |id| format!("{MANAGED_BY}={TOOL},{JOURNAL}={id}"))
}

/// The journal whose records a Secret holds.
pub(super) fn journal_of(secret: &Secret) -> &str {
    secret.metadata.labels.as_ref().and_then(|labels| labels.get(JOURNAL)).map(String::as_str).unwrap_or_default()
}

/// The name of what a mirror says of itself.
pub(super) fn about_name(journal: &str) -> String {
    format!("windlass-{}", short(journal))
}

pub(super) fn chunk_name(journal: &str, run: RunId, number: u32) -> String {
    format!("windlass-{}-{}-{number}", short(journal), short(&run.to_string()))
}

/// The end of an id: its beginning is the time, which several may share.
fn short(id: &str) -> String {
    let plain: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    plain[plain.len().saturating_sub(12)..].iter().collect()
}

/// The parts of a Secret that change with what it holds.
pub(super) trait Content {
    fn parts(&self, journal: &str) -> Result<Value, MirrorError>;
    fn name(&self, journal: &str) -> String;
}

impl Content for Chunk {
    fn parts(&self, _journal: &str) -> Result<Value, MirrorError> {
        let annotations = json!({
            RUN: self.run, CHUNK: self.number.to_string(), DIGEST: hex(&self.digest()),
        });
        Ok(json!({"metadata": {"annotations": annotations}, "data": {KEY: STANDARD.encode(&self.text)}}))
    }

    fn name(&self, journal: &str) -> String {
        chunk_name(journal, self.run, self.number)
    }
}

impl Content for About {
    fn parts(&self, journal: &str) -> Result<Value, MirrorError> {
        let text = serde_json::to_vec(self).map_err(MirrorError::trouble)?;
        let digest = about_digest(journal, &text);
        Ok(json!({"metadata": {"annotations": {DIGEST: digest}}, "data": {ABOUT_KEY: STANDARD.encode(&text)}}))
    }

    fn name(&self, journal: &str) -> String {
        about_name(journal)
    }
}

/// The whole of a Secret that does not exist yet.
pub(super) fn created(journal: &str, content: &impl Content) -> Result<Value, MirrorError> {
    let mut object = content.parts(journal)?;
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Secret");
    object["type"] = json!(TYPE);
    object["metadata"]["name"] = json!(content.name(journal));
    object["metadata"]["labels"] = json!({MANAGED_BY: TOOL, JOURNAL: journal});
    Ok(object)
}

/// A change that takes place only if nobody else made one.
pub(super) fn changed(journal: &str, content: &impl Content, place: &Place) -> Result<Value, MirrorError> {
    let mut parts = content.parts(journal)?;
    parts["metadata"]["resourceVersion"] = json!(place.version);
    Ok(parts)
}

/// The Secrets of one journal's mirror, understood.
pub(super) struct Shelf {
    /// What it says of itself; `None` if there is no mirror.
    pub(super) about: Option<Kept<About>>,
    /// The chunks of each run, all of them.
    pub(super) runs: BTreeMap<RunId, Vec<Kept<Chunk>>>,
    /// What a write left that did not come to its end.
    pub(super) leftovers: Vec<Place>,
}

impl Shelf {
    /// Sorts the Secrets of a journal; what is missing, or is not as it was written, is named.
    pub(super) fn of(journal: &str, secrets: &[Secret]) -> Result<Self, MirrorError> {
        let name = about_name(journal);
        let mut by_name: BTreeMap<&str, &Secret> = secrets.iter().map(|secret| (secret.name(), secret)).collect();
        let Some(secret) = by_name.remove(name.as_str()) else {
            return match by_name.keys().next() {
                None => Ok(Self { about: None, runs: BTreeMap::new(), leftovers: Vec::new() }),
                Some(other) => Err(MirrorError::refused(format!("secret {name} is missing, though {other} is there"))),
            };
        };
        let about = about(journal, secret)?;
        let mut runs = BTreeMap::new();
        for (run, count) in &about.chunks {
            let mut chunks: Vec<Kept<Chunk>> = Vec::new();
            for number in 1..=*count {
                let name = chunk_name(journal, *run, number);
                let Some(secret) = by_name.remove(name.as_str()) else {
                    return Err(MirrorError::refused(format!("secret {name} is missing")));
                };
                let before = chunks.last().map_or(ChunkDigest::default(), |last| last.what.digest());
                let chunk = chunk(secret, *run, number, before)?;
                chunks.push(Kept { what: chunk, place: Place::of(secret) });
            }
            runs.insert(*run, chunks);
        }
        // Whatever else bears the journal's label is a person's.
        let ours = format!("{name}-");
        let leftovers = by_name.into_values().filter(|secret| secret.name().starts_with(&ours)).map(Place::of).collect();
        Ok(Self { about: Some(Kept { what: about, place: Place::of(secret) }), runs, leftovers })
    }

    /// The events of all runs that are kept; of each run in order.
    pub(super) fn records(&self, journal: &str) -> Result<Vec<Record>, MirrorError> {
        let mut records = Vec::new();
        for (run, chunks) in &self.runs {
            let chunks: Vec<Chunk> = chunks.iter().map(|kept| kept.what.clone()).collect();
            records.extend(events(*run, &chunks).map_err(|ChunkError { number, detail }| {
                MirrorError::refused(format!("secret {} can't be used: {detail}", chunk_name(journal, *run, number)))
            })?);
        }
        Ok(records)
    }
}

fn about(journal: &str, secret: &Secret) -> Result<About, MirrorError> {
    let bad = |why: &str| MirrorError::refused(format!("secret {} {why}", secret.name()));
    let text = decoded(secret, ABOUT_KEY)?;
    if secret.annotation(DIGEST) != Some(about_digest(journal, &text).as_str()) {
        return Err(bad(EDITED));
    }
    let format = serde_json::from_slice::<Value>(&text).ok().and_then(|about| about["format"].as_u64());
    if format.is_some_and(|format| format > u64::from(FORMAT)) {
        return Err(bad("was written by a newer windlass"));
    }
    serde_json::from_slice(&text).map_err(|error| bad(&format!("can't be understood: {error}")))
}

fn chunk(secret: &Secret, run: RunId, number: u32, before: ChunkDigest) -> Result<Chunk, MirrorError> {
    let chunk = Chunk { run, number, before, text: decoded(secret, KEY)? };
    if secret.annotation(DIGEST) == Some(hex(&chunk.digest()).as_str()) {
        return Ok(chunk);
    }
    Err(MirrorError::refused(format!("secret {} {EDITED}", secret.name())))
}

/// What is said of a Secret whose digest is another.
const EDITED: &str = "is not as it was written, or not where it was written";

fn decoded(secret: &Secret, key: &str) -> Result<Vec<u8>, MirrorError> {
    let text = secret.data.get(key).map(String::as_str).unwrap_or_default();
    STANDARD.decode(text).map_err(|_| MirrorError::refused(format!("secret {} {EDITED}", secret.name())))
}

fn about_digest(journal: &str, text: &[u8]) -> String {
    hex(blake3::Hasher::new().update(journal.as_bytes()).update(text).finalize().as_bytes())
}

fn hex(digest: &ChunkDigest) -> String {
    blake3::Hash::from_bytes(*digest).to_hex().to_string()
}
