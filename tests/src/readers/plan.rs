//! A plan that somebody else made.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use windlass_engine::{Json, Timestamp};
use windlass_workflows::{Plan, PlanFile, PlanFileError};

use super::bounded;

/// What the key has signed.
static SIGNED: LazyLock<Vec<PlanFile>> = LazyLock::new(|| seeds().iter().map(|seed| read(seed).unwrap()).collect());

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn public() -> String {
    BASE64.encode(key().public_key().as_ref())
}

fn sign(bytes: &[u8]) -> String {
    BASE64.encode(key().sign(bytes).as_ref())
}

/// A plan with everything that plans have, and one with as little as there may be.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = json!({
        "workflow": "eus-update", "cluster": "3874d70b", "facts": ["4.16.21 → 4.18.9"], "nodes": {"worker": ["worker-0", "worker-1"]},
        "steps": [
            {"summary": "pause pool worker", "class": "declare", "requests": ["PATCH /a {}"], "p50_seconds": 60, "p90_seconds": 90},
            {"summary": "gate release", "class": "observe", "gate": "release", "p50_seconds": 0, "p90_seconds": 0,
             "expected_at": 1_700_000_000_000_000_i64},
        ],
        "calendar": {"zone": "Europe/Berlin", "slots": [{"days": ["Sat"], "from": "22:00", "until": "06:00"}, {"cron": "0 22 * * SAT", "for": "8h"}]},
        "restores": ["unpause pool worker"], "blockers": [], "warnings": ["a node is old"], "reckoned_from": ["the model"],
        "input_digest": "d1", "digest": "",
    });
    let bare = json!({"workflow": "w", "cluster": "c", "facts": [], "steps": [], "blockers": [], "warnings": [], "digest": ""});
    let written = |plan: Value, input: Value| {
        let mut plan: Plan = serde_json::from_value(plan).unwrap();
        plan.digest = plan.digest_of_content();
        let file = PlanFile::new(plan, &Json::of(&input).unwrap(), "ana@bastion".to_owned(), NOW, Duration::from_secs(3600));
        file.signed(public(), &sign).unwrap().into_bytes()
    };
    vec![written(whole, json!({"channel": "eus-4.18", "pause_days": 14, "share": 0.5})), written(bare, Value::Null)]
}

/// The bytes as a plan file, as they are and signed anew by a key that is trusted, so that what is behind the signature is reached.
pub fn judge(bytes: &[u8]) -> Result<(), String> {
    judge_as_it_is(bytes)?;
    let Some(bytes) = signed_anew(bytes) else { return Ok(()) };
    match bounded(bytes.len(), 64 << 10, 100, || read(&bytes))? {
        Err(PlanFileError::Changed | PlanFileError::Unsigned | PlanFileError::Stranger { .. }) => {
            Err("a plan is refused that a trusted key signed".to_owned())
        }
        Ok(read) if !read.plan.drift(&read.plan).is_empty() => Err("a plan drifted from itself".to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What is taken is what the key signed; what is refused is refused in words.
pub fn judge_as_it_is(bytes: &[u8]) -> Result<(), String> {
    let signed = &*SIGNED;
    match bounded(bytes.len(), 64 << 10, 100, || read(bytes))? {
        Ok(read) if !signed.contains(&read) => Err("a plan that nobody signed was taken".to_owned()),
        Err(error) if error.to_string().is_empty() => Err("refused without a word".to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The plan with the trusted key's signature under what it says now, and the digest of its content.
fn signed_anew(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut file: PlanFile = serde_json::from_slice(bytes).ok()?;
    file.plan.digest = file.plan.digest_of_content();
    file.signed(public(), &sign).ok().map(String::into_bytes)
}

fn read(bytes: &[u8]) -> Result<PlanFile, PlanFileError> {
    PlanFile::read(bytes, NOW, &[public()])
}
