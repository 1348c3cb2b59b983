//! A history that somebody else exported.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use windlass_engine::Record;
use windlass_engine::archive::{self, Archive, Export, ReadError, Redactor};
use windlass_engine::journal::JournalReader;

use super::{bounded, corpus};

/// What is taken from an export.
type Taken = (Archive, Vec<Record>);

/// What the key has signed.
static SIGNED: LazyLock<Vec<Taken>> = LazyLock::new(|| seeds().iter().map(|seed| read(seed).unwrap()).collect());

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn public() -> String {
    BASE64.encode(key().public_key().as_ref())
}

/// A history as it is, and with something redacted.
pub fn seeds() -> Vec<Vec<u8>> {
    let journal = JournalReader::open(&corpus("eus-update-r2-rejected")).unwrap();
    let (run, key) = (journal.runs().runs[0].run, key());
    let sign = |bytes: &[u8]| BASE64.encode(key.sign(bytes).as_ref());
    let written = |redactor: Option<Redactor>| {
        let mut text = Vec::new();
        let export = Export { run, build: "test", journal: None, key: public(), sign: &sign, redactor };
        archive::export(&journal, export, &mut text).unwrap();
        text
    };
    vec![written(None), written(Some(Redactor::new(&["4.16".to_owned()]).unwrap()))]
}

/// Read to its end or refused in words, and what is proven by a key is what that key signed.
pub fn judge(bytes: &[u8]) -> Result<(), String> {
    let signed = &*SIGNED;
    match bounded(bytes.len(), 1 << 20, 60, || read(bytes))? {
        Ok(taken) if taken.0.signer == Some(public()) && !signed.contains(&taken) => {
            Err("something was taken that the key has not signed".to_owned())
        }
        Err(error) if error.to_string().is_empty() => Err("refused without a word".to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn read(bytes: &[u8]) -> Result<Taken, ReadError> {
    let mut records = Vec::new();
    let archive = archive::read(&mut &*bytes, &mut |record| records.push(record))?;
    Ok((archive, records))
}
