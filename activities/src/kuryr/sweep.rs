//! The last look: what of Kuryr's is still in the cloud.

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::capture::{InCloud, InCluster, judge};
use super::inventory::{KuryrInventory, tag_of};
use crate::cluster::Cluster;

/// How many objects of a kind a message names.
const NAMED: usize = 5;

/// Looks for what of Kuryr's is still in the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SweepKuryr {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
}

/// What is left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KuryrSwept {
    /// What was seen.
    pub evidence: String,
}

impl Activity for SweepKuryr {
    const NAME: ActivityName = ActivityName::new("sweep-kuryr");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = KuryrSwept;

    fn summary(&self) -> String {
        format!("make sure that nothing of Kuryr's is left in cloud {}", self.cloud)
    }

    fn assumed(&self) -> Option<KuryrSwept> {
        Some(KuryrSwept { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<KuryrSwept, ActivityError> {
        let named = InCluster::read(cx.world()).await?;
        let cloud = cx.world().cloud(&self.cloud).await?;
        let mut left = judge(&named, &InCloud::read(&cloud, &tag_of(&named.cluster), &named).await?)?;
        // The router is the last to go.
        let router = left.router.take();
        if !left.is_empty() {
            let message = format!(
                "still in cloud {} with the tag {}: {}; delete them, then retry",
                self.cloud,
                left.tag(),
                in_words(&left).join("; ")
            );
            return Err(ActivityError::transient("left", message));
        }
        let stays = router.map(|router| format!("router {} ({})", router.id, router.name));
        let stays = stays.into_iter().chain(left.not_ours).collect::<Vec<_>>();
        let stays = if stays.is_empty() { String::new() } else { format!("; left alone: {}", stays.join("; ")) };
        Ok(KuryrSwept {
            evidence: format!(
                "nothing of Kuryr's with the tag {} is left in cloud {}{stays}",
                tag_of(&named.cluster),
                self.cloud
            ),
        })
    }
}

fn in_words(left: &KuryrInventory) -> Vec<String> {
    let nets = left.networks.iter().chain(&left.services).map(|net| net.id.as_str()).collect();
    let trunks = left.trunks.iter().filter(|trunk| !trunk.ports.is_empty()).map(|trunk| trunk.id.as_str()).collect();
    let kinds: [(&str, Vec<&str>); 5] = [
        ("networks", nets),
        ("trunks with its ports", trunks),
        ("load balancers", left.balancers.iter().map(|one| one.id.as_str()).collect()),
        ("security groups", left.groups.iter().map(|one| one.id.as_str()).collect()),
        ("subnet pools", left.pools.iter().map(|one| one.id.as_str()).collect()),
    ];
    let words = |(kind, ids): (&str, Vec<&str>)| {
        let more = if ids.len() > NAMED { ", …" } else { "" };
        let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        (!ids.is_empty()).then(|| format!("{} {kind} ({named}{more})", ids.len()))
    };
    kinds.into_iter().filter_map(words).collect()
}
