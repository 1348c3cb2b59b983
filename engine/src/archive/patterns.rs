//! What looks like a secret.

use regex::Regex;

/// Each marks one kind of secret in a text: the last group that took part, or the whole match if it has none.
const PATTERNS: &[&str] = &[
    // Private keys, also where their newlines are spelled out; to the end of the text if their own end is missing.
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    // Authorization headers.
    r"(?i)\b(?:bearer|basic)\s+([a-z0-9._~+/-]{16,}=*)",
    // JSON web tokens, and the tokens of OpenShift.
    r"\beyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{5,}(?:\.[0-9A-Za-z_-]*)?",
    r"\bsha256~[0-9A-Za-z_-]{16,}",
    // `password=…`, quoted or up to the next separator.
    r#"(?i)(?:NAMES)\s*=\s*(?:\\?"([^"\\]+)|'([^']+)|([^\s"'&,;)\]}]+))"#,
    // The same in JSON that stands inside of a text, its quotes escaped or not.
    r#"(?i)\\?"(?:auth|[0-9a-z_.-]*(?:NAMES))\\?"\s*:\s*\\?"([^"\\]+)"#,
    // The same in YAML; only for words that say nothing else.
    r#"(?i)\b(?:password|passwd|passphrase):\s+["']?([^\s"']+)"#,
    // What stands before the host in an address: the password, or all of it.
    r#"://(?:[^\s/@:"]*:)?([^\s/@"]+)@"#,
];

/// The names under which secrets stand, in patterns.
const NAMES: &str = r"password|passwd|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key";

/// The ends of field names under which secrets stand, in lower case, without `-` and `_`.
const FIELDS: &[&str] = &["password", "passwd", "passphrase", "token", "secret", "apikey", "accesskey", "privatekey"];

/// All patterns, ready for use.
pub(super) fn compile() -> Result<Vec<Regex>, regex::Error> {
    PATTERNS.iter().map(|pattern| Regex::new(&pattern.replace("NAMES", NAMES))).collect()
}

/// Where in a text the pattern finds secrets.
pub(super) fn find<'a>(pattern: &'a Regex, text: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    pattern.captures_iter(text).filter_map(|found| found.iter().flatten().last().map(|secret| secret.range()))
}

/// Whether the whole value of a field of that name is a secret.
pub(super) fn is_secret_field(name: &str) -> bool {
    let name: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_lowercase();
    name == "auth" || name == "authorization" || FIELDS.iter().any(|field| name.ends_with(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_marked_and_nothing_around_it() {
        let patterns = compile().unwrap();
        let check = |text: &str, expect: &[&str]| {
            let mut found: Vec<&str> =
                patterns.iter().flat_map(|pattern| find(pattern, text)).map(|range| &text[range]).collect();
            found.dedup();
            assert_eq!(found, expect, "{text}");
        };
        check("Authorization: Bearer abcdefghijklmnop0123", &["abcdefghijklmnop0123"]);
        check("authorization: basic YWRtaW46aHVudGVyMg==", &["YWRtaW46aHVudGVyMg=="]);
        check("got eyJhbGciOi.eyJzdWIiOi.c2lnbmF0 there", &["eyJhbGciOi.eyJzdWIiOi.c2lnbmF0"]);
        check("logged in with sha256~abcdefghijklmnopqrst", &["sha256~abcdefghijklmnopqrst"]);
        check("connect with password=hunter2, then", &["hunter2"]);
        check("DB_PASSWORD = 'hun ter2' and API-KEY=k1&x=2", &["hun ter2", "k1"]);
        check(r#"token="a b c" secret=s3"#, &["a b c", "s3"]);
        check(r#"{"auths":{"quay.io":{"auth":"dXNlcjpwdw=="}}}"#, &["dXNlcjpwdw=="]);
        check(r#"{\"client_secret\": \"s3cr3t\"}"#, &["s3cr3t"]);
        check("password: hunter2", &["hunter2"]);
        check("https://ana:hunter2@git.example.com/x", &["hunter2"]);
        check("https://ghp_0123456789@git.example.com/x", &["ghp_0123456789"]);
        check(
            "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- x",
            &["-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----"],
        );
        check(r"-----BEGIN PRIVATE KEY-----\nMHc", &[r"-----BEGIN PRIVATE KEY-----\nMHc"]);
        for innocent in [
            "the token of the bearer is not good; basic authentication failed",
            "quay.io/openshift-release-dev/ocp-release@sha256:0123456789abcdef0123456789abcdef",
            "docker://quay.io/openshift/release@sha256:0123456789abcdef",
            "secret openshift-config/pull-secret has no key auth",
            "https://api.example.com:6443/apis/config.openshift.io/v1",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        ] {
            check(innocent, &[]);
        }
    }

    #[test]
    fn fields_are_known_by_the_end_of_their_name() {
        for name in ["auth", "password", "DB_PASSWORD", "access-token", "clientSecret", "aws_secret_access_key"] {
            assert!(is_secret_field(name), "{name}");
        }
        for name in ["author", "authority", "tokens", "secretName", "key", "pass"] {
            assert!(!is_secret_field(name), "{name}");
        }
    }
}
