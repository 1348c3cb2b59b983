//! One object of the cloud, deleted by its id, once nothing needs it any more.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe};

use super::capture::carries;
use crate::cluster::Cluster;
use crate::openstack::{Balancer, CallFailed, Cloud, Network, Resource, Router, SecurityGroup, SubnetPool};
use crate::requests::ASSUMED;

/// How soon an object that is still needed, or still being deleted, is looked at again.
const PAUSE: Duration = Duration::from_secs(10);

/// A kind of object that is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudKind {
    /// A load balancer, with everything below it.
    LoadBalancer,
    /// A network, with its subnets.
    Network,
    /// A security group.
    SecurityGroup,
    /// A pool that subnets get their addresses from.
    SubnetPool,
    /// A router.
    Router,
}

impl CloudKind {
    fn path(self) -> &'static str {
        match self {
            Self::LoadBalancer => Balancer::PATH,
            Self::Network => Network::PATH,
            Self::SecurityGroup => SecurityGroup::PATH,
            Self::SubnetPool => SubnetPool::PATH,
            Self::Router => Router::PATH,
        }
    }

    /// As `openstack` is told it.
    fn command(self) -> &'static str {
        match self {
            Self::LoadBalancer => "loadbalancer",
            Self::Network => "network",
            Self::SecurityGroup => "security group",
            Self::SubnetPool => "subnet pool",
            Self::Router => "router",
        }
    }
}

impl fmt::Display for CloudKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadBalancer => "load balancer",
            Self::Network => "network",
            Self::SecurityGroup => "security group",
            Self::SubnetPool => "subnet pool",
            Self::Router => "router",
        })
    }
}

/// Deletes one object of the cloud that carries this cluster's tag, and waits until it is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteCloudObject {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
    /// The tag that it must carry.
    pub tag: String,
    /// What it is.
    pub kind: CloudKind,
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// That it is not there any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CloudObjectGone {
    /// Whether it was gone before anything was asked for.
    pub already: bool,
    /// What was seen.
    pub evidence: String,
}

/// What is seen of an object.
struct Look {
    is_ours: bool,
    /// Of load balancers, how far a change of it has come.
    state: String,
}

impl Activity for DeleteCloudObject {
    const NAME: ActivityName = ActivityName::new("delete-cloud-object");
    const EFFECT: Effect = Effect::Irreversible;
    type World = Cluster;
    type Output = CloudObjectGone;

    fn summary(&self) -> String {
        format!("delete {} {} ({}) in cloud {}", self.kind, self.name, self.id, self.cloud)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/{}{}", self.kind.path(), self.id, self.query())]
    }

    fn assumed(&self) -> Option<CloudObjectGone> {
        Some(CloudObjectGone { already: false, evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CloudObjectGone, ActivityError> {
        let cloud = cx.world().cloud(&self.cloud).await?;
        let (mut already, mut asked) = (true, false);
        loop {
            let Some(look) = self.look(&cloud).await? else {
                return Ok(CloudObjectGone { already, evidence: format!("{} {} is not there", self.kind, self.id) });
            };
            if !look.is_ours {
                return Err(self.not_ours());
            }
            already = false;
            if look.state.starts_with("PENDING") {
                // It takes no request before it has done with the last one.
                cx.progress(format!("{} {} is {}", self.kind, self.name, look.state));
            } else if look.state == "ERROR" && asked {
                return Err(self.broken());
            } else {
                match self.ask(&cloud).await {
                    Ok(()) if self.kind == CloudKind::LoadBalancer => asked = true,
                    Ok(()) => continue,
                    Err(CallFailed::Conflict(said)) => {
                        cx.progress(format!("{} {} is still needed: {said}", self.kind, self.name));
                    }
                    Err(CallFailed::Other(error)) => return Err(error),
                }
            }
            cx.sleep(PAUSE).await;
        }
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<CloudObjectGone>, ActivityError> {
        let evidence = format!("{} {} is not there", self.kind, self.id);
        Ok(match self.look(&cx.world().cloud(&self.cloud).await?).await? {
            None => Probe::Happened { output: CloudObjectGone { already: false, evidence: evidence.clone() }, evidence },
            Some(look) if look.state.is_empty() => Probe::DidNotHappen(format!("{} {} is there", self.kind, self.id)),
            Some(look) => Probe::DidNotHappen(format!("{} {} is {}", self.kind, self.id, look.state)),
        })
    }
}

impl DeleteCloudObject {
    /// A load balancer goes with its listeners, pools and members.
    fn query(&self) -> &'static str {
        if self.kind == CloudKind::LoadBalancer { "?cascade=true" } else { "" }
    }

    async fn look(&self, cloud: &Cloud<'_>) -> Result<Option<Look>, ActivityError> {
        let tag = self.tag.as_str();
        match self.kind {
            CloudKind::LoadBalancer => {
                let found = cloud.get::<Balancer>(&self.id).await?.filter(|found| found.provisioning_status != "DELETED");
                Ok(found.map(|found| Look { is_ours: found.carries(tag), state: found.provisioning_status }))
            }
            CloudKind::Network => tagged::<Network>(cloud, &self.id, tag).await,
            CloudKind::SecurityGroup => tagged::<SecurityGroup>(cloud, &self.id, tag).await,
            CloudKind::SubnetPool => tagged::<SubnetPool>(cloud, &self.id, tag).await,
            CloudKind::Router => tagged::<Router>(cloud, &self.id, tag).await,
        }
    }

    async fn ask(&self, cloud: &Cloud<'_>) -> Result<(), CallFailed> {
        let query = self.query();
        let deleted = match self.kind {
            CloudKind::LoadBalancer => cloud.delete::<Balancer>(&self.id, query).await,
            CloudKind::Network => cloud.delete::<Network>(&self.id, query).await,
            CloudKind::SecurityGroup => cloud.delete::<SecurityGroup>(&self.id, query).await,
            CloudKind::SubnetPool => cloud.delete::<SubnetPool>(&self.id, query).await,
            CloudKind::Router => cloud.delete::<Router>(&self.id, query).await,
        };
        deleted.map(drop)
    }

    fn not_ours(&self) -> ActivityError {
        let message = format!(
            "{} {} ({}) does not carry the tag {}, so it is not this cluster's; nothing was deleted; look at \
             `openstack {} show {}`",
            self.kind,
            self.id,
            self.name,
            self.tag,
            self.kind.command(),
            self.id
        );
        ActivityError::permanent("not-ours", message)
    }

    fn broken(&self) -> ActivityError {
        let (kind, id) = (self.kind, &self.id);
        let message = format!(
            "{kind} {id} ({}) went into ERROR instead of going; the cloud's administrators can mend that with \
             `openstack loadbalancer failover {id}`, then retry",
            self.name
        );
        ActivityError::permanent("balancer-error", message)
    }
}

async fn tagged<R: Resource>(cloud: &Cloud<'_>, id: &str, tag: &str) -> Result<Option<Look>, ActivityError> {
    let object = cloud.get::<R>(id).await?;
    Ok(object.map(|object| Look { is_ours: carries(&object, tag), state: String::new() }))
}
