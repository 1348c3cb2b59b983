//! The update server that the cluster asks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Patch};
use crate::requests::patch_line;
use crate::views::{ClusterVersion, View as _};

/// Has the cluster ask another update server, if nobody changed it since `seen`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetUpstream {
    /// The server's address; the vendor's own service if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address before, as it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// The update server as it was and is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpstreamSet {
    /// The address now; absent for the vendor's own service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address before, to be given back; the same if it was so already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Activity for SetUpstream {
    const NAME: ActivityName = ActivityName::new("set-upstream");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = UpstreamSet;

    fn summary(&self) -> String {
        format!("set the update server to {}", shown(self.url.as_deref()))
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<ClusterVersion>(None, "version", &Patch::Merge(json!({"spec": {"upstream": self.url}})))]
    }

    fn assumed(&self) -> Option<UpstreamSet> {
        Some(UpstreamSet { url: self.url.clone(), before: self.seen.clone() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpstreamSet, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        if let Some(patch) = self.change(&version)? {
            cx.world().patch::<ClusterVersion>(None, "version", &Patch::Merge(patch)).await?;
        }
        Ok(UpstreamSet { url: self.url, before: self.seen })
    }
}

impl SetUpstream {
    /// The patch, with the version that was read as its precondition; none if it is so already.
    fn change(&self, version: &ClusterVersion) -> Result<Option<Value>, ActivityError> {
        if let Some(url) = &self.url {
            check_address(url)?;
        }
        let now = version.spec.upstream.as_deref().filter(|url| !url.is_empty());
        if now == self.url.as_deref() {
            return Ok(None);
        }
        if now != self.seen.as_deref() {
            let message = format!(
                "somebody else changed the update server: spec.upstream named {}, now it names {}; find out who, then plan again",
                shown(self.seen.as_deref()),
                shown(now)
            );
            return Err(ActivityError::permanent("upstream-changed", message));
        }
        let metadata = json!({"resourceVersion": version.meta_version()});
        Ok(Some(json!({"metadata": metadata, "spec": {"upstream": self.url}})))
    }
}

fn shown(url: Option<&str>) -> &str {
    url.unwrap_or("the vendor's own service")
}

/// Credentials in an address would end up in the cluster's spec, in the journal and in logs.
fn check_address(url: &str) -> Result<(), ActivityError> {
    let refuse = |why: &str| Err(ActivityError::permanent("bad-upstream", format!("the update server's address {why}")));
    let Ok(parsed) = url.parse::<http::Uri>() else {
        return refuse("is none; write it as https://HOST/PATH");
    };
    match (parsed.scheme_str(), parsed.authority()) {
        (_, Some(authority)) if authority.as_str().contains('@') => refuse("holds a user or password; name it without"),
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => refuse("has no scheme or host; write it as https://HOST/PATH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{healthy, version};

    #[test]
    fn the_server_is_changed_only_from_what_was_seen() {
        let ours = "https://osus.example.com/graph";
        let check = |now: Option<&str>, url: Option<&str>, seen: Option<&str>, expect: Result<Option<Value>, &str>| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| version.spec.upstream = now.map(str::to_owned));
            let set = SetUpstream { url: url.map(str::to_owned), seen: seen.map(str::to_owned) };
            assert_eq!(set.change(snapshot.version().unwrap()).map_err(|error| error.message), expect.map_err(str::to_owned));
        };
        let patch = |url: Option<&str>| Ok(Some(json!({"metadata": {"resourceVersion": "700"}, "spec": {"upstream": url}})));
        check(None, Some(ours), None, patch(Some(ours)));
        check(Some(""), Some(ours), None, patch(Some(ours)));
        check(Some(ours), Some(ours), None, Ok(None));
        check(Some(ours), None, Some(ours), patch(None));
        check(None, None, Some(ours), Ok(None));
        let other = "somebody else changed the update server: spec.upstream named the vendor's own service, now it names \
                     https://other.example.com/; find out who, then plan again";
        check(Some("https://other.example.com/"), Some(ours), None, Err(other));
        check(
            None,
            Some("https://me:secret@osus.example.com/"),
            None,
            Err("the update server's address holds a user or password; name it without"),
        );
        check(
            None,
            Some("osus.example.com"),
            None,
            Err("the update server's address has no scheme or host; write it as https://HOST/PATH"),
        );
    }
}
