//! Files of OVSDB: records of JSON, each behind a line with its length and SHA-1.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::Value;

/// A record as OVSDB writes it; `magic` is `CLUSTER` or `JSON`.
pub(crate) fn record(magic: &str, content: &Value) -> String {
    let text = format!("{content}\n");
    let sum = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref());
    format!("OVSDB {magic} {} {sum}\n{text}", text.len())
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The first record of a clustered database's file; `None` if it has none.
pub(crate) fn first(bytes: &[u8]) -> Option<Value> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let length: usize = line.strip_prefix("OVSDB CLUSTER ")?.split(' ').next()?.parse().ok()?;
    serde_json::from_slice(bytes.get(end + 1..end + 1 + length)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_as_a_real_server_writes_them() {
        // As `ovsdb-tool join-cluster` wrote it.
        let real = "OVSDB CLUSTER 158 78c91cc464729386d4682d7a46f91e937b49ec35\n\
                    {\"name\":\"OVN_Northbound\",\"remote_addresses\":[\"tcp:127.77.0.1:6643\"],\"server_id\":\
                    \"d4be6fe8-75f6-4b4f-9f3b-706b1845b611\",\"local_address\":\"tcp:127.77.0.2:6643\"}\n";
        let header = first(real.as_bytes()).expect("a record");
        assert_eq!(header["local_address"], "tcp:127.77.0.2:6643");
        let ours = record("CLUSTER", &json!({ "name": "OVN_Northbound" }));
        assert_eq!(first(ours.as_bytes()), Some(json!({ "name": "OVN_Northbound" })));
        for bad in ["", "hi\n", "OVSDB CLUSTER 99 00\n{}\n", "OVSDB JSON 3 00\n{}\n"] {
            assert_eq!(first(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
