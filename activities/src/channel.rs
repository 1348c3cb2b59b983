//! The update channel: set it, and wait for its updates.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Patch};
use crate::condition::updates_retrieved;
use crate::ids::Channel;
use crate::release::Release;
use crate::requests::{ASSUMED, patch_line};
use crate::views::ClusterVersion;
use crate::wait::{Wait, wait_for};

/// Has the cluster follow a channel that its release is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetChannel {
    /// The channel: `eus-4.18`.
    pub channel: Channel,
}

/// The channel as it was and is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelSet {
    /// The channel now.
    pub channel: Channel,
    /// The channel before; the same if it was so already.
    pub before: Channel,
}

impl Activity for SetChannel {
    const NAME: ActivityName = ActivityName::new("set-channel");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = ChannelSet;

    fn summary(&self) -> String {
        format!("set the update channel to {}", self.channel)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<ClusterVersion>(None, "version", &self.patch())]
    }

    fn assumed(&self) -> Option<ChannelSet> {
        Some(ChannelSet { channel: self.channel.clone(), before: self.channel.clone() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ChannelSet, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let before = Channel::new(version.spec.channel.clone());
        if is_change(&version, &self.channel)? {
            cx.world().patch::<ClusterVersion>(None, "version", &self.patch()).await?;
        }
        Ok(ChannelSet { channel: self.channel, before })
    }
}

impl SetChannel {
    fn patch(&self) -> Patch {
        Patch::Merge(json!({"spec": {"channel": self.channel}}))
    }
}

/// Whether the channel has to be changed; refused if the present release is not in it.
fn is_change(version: &ClusterVersion, channel: &Channel) -> Result<bool, ActivityError> {
    if version.spec.channel == channel.as_str() {
        return Ok(false);
    }
    refuse_unoffered(version, channel).map(|()| true)
}

/// Refuses a channel that the present release is not in, and names those that it is in.
pub(crate) fn refuse_unoffered(version: &ClusterVersion, channel: &Channel) -> Result<(), ActivityError> {
    let offered = &version.status.desired.channels;
    // An empty list says that nothing is known, not that nothing is offered.
    if offered.is_empty() || offered.iter().any(|name| name == channel.as_str()) {
        return Ok(());
    }
    let release = &version.status.desired.version;
    let message = format!("{release} is not in channel {channel}; choose one of {}", offered.join(", "));
    Err(ActivityError::permanent("channel-not-offered", message))
}

/// Waits until the cluster has read the updates of a channel, and of one release if it names one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitUpdatesRetrieved {
    /// The channel.
    pub channel: Channel,
    /// The release that must be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Release>,
    /// Risks that a person accepted by name: the release counts as offered with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_risks: Vec<String>,
}

/// What a channel offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdatesRetrieved {
    /// The recommended versions.
    pub recommended: Vec<String>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitUpdatesRetrieved {
    const NAME: ActivityName = ActivityName::new("await-updates-retrieved");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = UpdatesRetrieved;

    fn summary(&self) -> String {
        match &self.offers {
            Some(release) => format!("wait until channel {} offers {}", self.channel, release.title()),
            None => format!("wait until the updates of channel {} are read", self.channel),
        }
    }

    fn assumed(&self) -> Option<UpdatesRetrieved> {
        Some(UpdatesRetrieved { recommended: Vec::new(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpdatesRetrieved, ActivityError> {
        let judge = |snapshot: &crate::snapshot::Snapshot| {
            updates_retrieved(snapshot, &self.channel, self.offers.as_ref(), &self.accepted_risks)
        };
        let seen = wait_for(&cx, Wait::default(), judge).await?;
        let recommended = seen.snapshot.version().into_iter().flat_map(ClusterVersion::recommended);
        let recommended = recommended.map(|release| release.version.clone()).collect();
        Ok(UpdatesRetrieved { recommended, evidence: seen.evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::healthy;

    #[test]
    fn a_channel_that_the_release_is_not_in_is_refused_with_those_it_is_in() {
        let snapshot = healthy();
        let check = |channel: &str, expect: Result<bool, &str>| {
            let verdict = is_change(snapshot.version().unwrap(), &channel.into());
            assert_eq!(verdict.as_ref().map_err(ToString::to_string).copied(), expect.map_err(str::to_owned));
        };
        check("stable-4.16", Ok(false));
        check("eus-4.18", Ok(true));
        check("eus-4.20", Err("4.16.20 is not in channel eus-4.20; choose one of eus-4.16, eus-4.18, stable-4.16"));
    }
}
