//! Signatures under plans and exports, checked; what makes them holds the key, and is outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

/// Whether the holder of a public key signed exactly these bytes: Ed25519, key and signature in base64.
pub fn signed_by(key: &str, bytes: &[u8], signature: &str) -> bool {
    let (Ok(key), Ok(signature)) = (BASE64.decode(key), BASE64.decode(signature)) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn only_the_key_the_bytes_and_the_signature_belong_together() {
        let pair = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = |seed| BASE64.encode(pair(seed).public_key().as_ref());
        let signature = BASE64.encode(pair(1).sign(b"a plan").as_ref());
        let check = |key: &str, bytes: &[u8], signature: &str, expect: bool| {
            assert_eq!(signed_by(key, bytes, signature), expect, "{key}, {signature}");
        };
        check(&public(1), b"a plan", &signature, true);
        check(&public(2), b"a plan", &signature, false);
        check(&public(1), b"a plot", &signature, false);
        check(&public(1), b"a plan", &signature[4..], false);
        check("", b"a plan", &signature, false);
        check(&public(1), b"a plan", "not base64", false);
    }
}
