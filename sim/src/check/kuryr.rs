//! What must hold of the cloud after a cluster left Kuryr.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Violation;
use crate::openstack::{CloudObject, Kind, OpenStack, Owner};
use crate::world::json::text;

/// What was in the cloud before the maintenance began.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudBaseline {
    objects: BTreeMap<String, CloudObject>,
}

impl CloudBaseline {
    /// Remembers the cloud as it is now.
    pub fn of(cloud: &OpenStack) -> Self {
        Self { objects: cloud.objects().into_iter().map(|object| (object.id.clone(), object)).collect() }
    }

    /// That everything that is not this cluster's Kuryr's is as it was. A trunk of the cluster's own may lose Kuryr's sub-ports, and
    /// only those.
    pub fn check_others(&self, cloud: &OpenStack) -> Vec<Violation> {
        let now = Self::of(cloud);
        let others = self.objects.values().filter(|object| object.owner != Some(Owner::Kuryr));
        others.filter_map(|then| self.differs(then, now.objects.get(&then.id))).map(Violation).collect()
    }

    /// The objects of this cluster's Kuryr that are still there: what they are and their names.
    pub fn left_of_kuryr(cloud: &OpenStack) -> Vec<String> {
        let kuryrs = cloud.objects().into_iter().filter(|object| object.owner == Some(Owner::Kuryr));
        let mut left: Vec<String> = kuryrs.map(|object| described(&object)).collect();
        let trunks = cloud.objects().into_iter().filter(|o| o.kind == Kind::Trunk && o.owner == Some(Owner::Cluster));
        let with_subs = trunks.filter(|trunk| trunk.object["sub_ports"].as_array().is_some_and(|subs| !subs.is_empty()));
        left.extend(with_subs.map(|trunk| format!("sub-ports of {}", described(&trunk))));
        left
    }

    fn differs(&self, then: &CloudObject, now: Option<&CloudObject>) -> Option<String> {
        let Some(now) = now else {
            return Some(format!("{} of {:?} is gone", described(then), then.owner));
        };
        // A server of the cluster's own says when it was last rebooted.
        let is_own_server = then.kind == Kind::Server && then.owner == Some(Owner::Cluster);
        if is_own_server
            || now.object == then.object
            || (then.owner == Some(Owner::Cluster) && self.lost_sub_ports_only(then, now))
        {
            return None;
        }
        Some(format!("{} of {:?} changed: {} became {}", described(then), then.owner, then.object, now.object))
    }

    fn lost_sub_ports_only(&self, then: &CloudObject, now: &CloudObject) -> bool {
        if then.kind != Kind::Trunk {
            return false;
        }
        let rest = |trunk: &Value| {
            let mut rest = trunk.clone();
            for key in ["sub_ports", "updated_at", "revision_number", "status"] {
                rest[key] = Value::Null;
            }
            rest
        };
        let subs = |trunk: &Value| trunk["sub_ports"].as_array().cloned().unwrap_or_default();
        let (before, after) = (subs(&then.object), subs(&now.object));
        let is_kuryrs = |sub: &Value| {
            let port = self.objects.get(text(sub, "/port_id"));
            port.is_none_or(|port| port.owner == Some(Owner::Kuryr))
        };
        let lost_only_kuryrs = before.iter().filter(|sub| !after.contains(sub)).all(is_kuryrs);
        rest(&then.object) == rest(&now.object)
            && lost_only_kuryrs
            && after.iter().all(|sub| is_kuryrs(sub) || before.contains(sub))
    }
}

fn described(object: &CloudObject) -> String {
    format!("{} {:?} ({})", object.kind.one(), text(&object.object, "/name"), object.id)
}
