//! Which versions of Kube-OVN let their members be exchanged.

use semver::Version;

/// When a member was taken out, the start scripts of these versions find fewer servers than addresses in `NODE_IPS`, take the database
/// for damaged, and delete it on every survivor (kube-ovn#6363).
const DELETING: [(u64, u64, u64); 4] = [(1, 15, 9), (1, 15, 10), (1, 16, 0), (1, 16, 1)];

/// What speaks against an exchange under a version, and what a person should know of it.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) blocker: Option<String>,
    pub(super) warning: Option<String>,
}

pub(super) fn judge(version: Option<&Version>, image: &str, add_first: bool) -> Verdict {
    let Some(version) = version else {
        let text = format!(
            "the image {image} does not tell Kube-OVN's version, and 1.15.9, 1.15.10, 1.16.0 and 1.16.1 delete databases after a member was taken out (kube-ovn#6363)"
        );
        // Counting more servers than addresses is what these versions do wrong, too: in this order it is not left to trust.
        return if add_first {
            let blocker = format!(
                "{text}; a new member before the old one leaves is allowed only under a known version: leave out --add-first"
            );
            Verdict { blocker: Some(blocker), ..Verdict::default() }
        } else {
            Verdict { warning: Some(format!("{text}: make sure that it is none of them")), ..Verdict::default() }
        };
    };
    if DELETING.contains(&(version.major, version.minor, version.patch)) {
        let text = format!(
            "Kube-OVN {version} deletes the databases of its members when one was taken out (kube-ovn#6363); update to 1.15.11, 1.16.2 or later first"
        );
        return Verdict { blocker: Some(text), ..Verdict::default() };
    }
    Verdict::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with 1.16.1 left out, and with versions compared as texts.
    #[test]
    fn versions_that_delete_databases_are_refused() {
        let check = |version: Option<&str>, add_first: bool, expect: (bool, bool)| {
            let version = version.map(|version| Version::parse(version).unwrap());
            let verdict = judge(version.as_ref(), "image", add_first);
            assert_eq!((verdict.blocker.is_some(), verdict.warning.is_some()), expect, "{version:?}");
        };
        for bad in ["1.15.9", "1.15.10", "1.16.0", "1.16.1", "1.16.1-mc2"] {
            check(Some(bad), false, (true, false));
            check(Some(bad), true, (true, false));
        }
        for good in ["1.10.0", "1.13.2", "1.15.8", "1.15.11", "1.16.2", "1.17.0", "1.15.90"] {
            check(Some(good), false, (false, false));
            check(Some(good), true, (false, false));
        }
        check(None, false, (false, true));
        check(None, true, (true, false));
    }
}
