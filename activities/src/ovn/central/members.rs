use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::{CONTAINER, NAME as DEPLOYMENT, NODE_IPS, changed, permitted, told};
use crate::cluster::{Cluster, Patch};
use crate::machine_health::changed_meanwhile;
use crate::ovn::template::{Told, change_in_words};
use crate::ovn::{Act, Central, NAMESPACE, list};
use crate::requests::patch_line;
use crate::views::{Deployment, View as _};

/// Sets `spec.replicas` and `NODE_IPS` of ovn-central in one patch, which restarts its pods one after the other; refuses if either is
/// neither as it was nor as it shall be, and if the quorum guard does not let a restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetCentralMembers {
    /// `NODE_IPS` as it shall be, in order: a new address comes last.
    pub node_ips: Vec<IpAddr>,
    /// `NODE_IPS` as it was.
    pub was: Vec<IpAddr>,
}

/// That ovn-central is set so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralSet {
    /// The generation of the Deployment that has it.
    pub generation: i64,
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for SetCentralMembers {
    const NAME: ActivityName = ActivityName::new("set-central-members");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = CentralSet;

    fn summary(&self) -> String {
        format!("set ovn-central to {} replicas and NODE_IPS {}", self.node_ips.len(), list(&self.node_ips))
    }

    fn requests(&self) -> Vec<String> {
        let replicas = json!({"op": "replace", "path": "/spec/replicas", "value": self.node_ips.len()});
        let patch = Patch::Json(json!([replicas, change_in_words(CONTAINER, NODE_IPS, &self.node_ips)]));
        vec![patch_line::<Deployment>(Some(NAMESPACE), DEPLOYMENT, &patch)]
    }

    fn assumed(&self) -> Option<CentralSet> {
        Some(CentralSet { generation: 0, already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CentralSet, ActivityError> {
        let permanent = |message| ActivityError::permanent("members-refused", message);
        self.keeps_order().map_err(permanent)?;
        let deployment: Deployment = cx.world().must_get(Some(NAMESPACE), DEPLOYMENT).await?;
        let told = told(&deployment)?;
        let Some(operations) = self.decide(&deployment, &told).map_err(permanent)? else {
            return Ok(CentralSet { generation: deployment.generation(), already: true });
        };
        let central = permitted(&cx, Act::RestartAll).await?;
        self.keeps_members(&central).map_err(permanent)?;
        let patch = Patch::Json(Value::Array(operations));
        let set: Deployment = cx.world().patch(Some(NAMESPACE), DEPLOYMENT, &patch).await.map_err(changed_meanwhile)?;
        Ok(CentralSet { generation: set.generation(), already: false })
    }
}

impl SetCentralMembers {
    /// The operations of the patch; none if it is so already; the error says why it is not to be changed.
    fn decide(&self, deployment: &Deployment, told: &Told) -> Result<Option<Vec<Value>>, String> {
        let (was, goal) = (count(&self.was), count(&self.node_ips));
        let replicas = deployment.spec.replicas.unwrap_or(1);
        if told.addresses == self.node_ips && replicas == goal {
            return Ok(None);
        }
        if told.addresses != self.was && told.addresses != self.node_ips {
            return Err(changed(&told.addresses, &self.was, &self.node_ips));
        }
        if replicas != was && replicas != goal {
            return Err(format!(
                "ovn-central has {replicas} replicas; it had {was} when this was planned, and shall have {goal}: somebody else \
                 changed them; find out who, then plan again"
            ));
        }
        let mut operations = vec![
            json!({"op": "test", "path": "/spec/replicas", "value": replicas}),
            json!({"op": "replace", "path": "/spec/replicas", "value": goal}),
        ];
        operations.extend(told.change(&self.node_ips));
        Ok(Some(operations))
    }

    /// A pod whose address comes first founds a cluster of its own when it reaches no leader: no new address may come before an old one.
    fn keeps_order(&self) -> Result<(), String> {
        let stay: Vec<_> = self.was.iter().filter(|address| self.node_ips.contains(address)).collect();
        let begins_so = self.node_ips.iter().zip(&stay).all(|(wished, stays)| wished == *stays);
        if stay.is_empty() || !begins_so {
            let (was, wished) = (list(&self.was), list(&self.node_ips));
            return Err(format!("{wished} does not begin with the members that stay of {was}, in their order; plan again"));
        }
        Ok(())
    }

    /// A pod whose address is not in `NODE_IPS` ends: whoever has a vote must be there.
    fn keeps_members(&self, central: &Central) -> Result<(), String> {
        for raft in &central.databases {
            if let Some(lost) = raft.voters().find(|server| !self.node_ips.contains(&server.address)) {
                return Err(format!(
                    "{} is a member of the {} database and would not start again without its place in NODE_IPS {}; take it out \
                     of the database first",
                    lost.address,
                    raft.database,
                    list(&self.node_ips)
                ));
            }
        }
        Ok(())
    }
}

fn count(addresses: &[IpAddr]) -> i32 {
    i32::try_from(addresses.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split(',').map(|last| format!("10.0.0.{last}").parse().unwrap()).collect()
    }

    fn deployment(replicas: i32, node_ips: &str) -> Deployment {
        let env = json!([{"name": "POD_IP", "valueFrom": {}}, {"name": NODE_IPS, "value": node_ips}]);
        let template = json!({"spec": {"containers": [{"name": CONTAINER, "env": env}]}});
        serde_json::from_value(json!({"spec": {"replicas": replicas, "template": template}})).unwrap()
    }

    /// Seen to fail with: replicas not compared; the test of the replicas left out of the patch.
    #[test]
    fn members_are_set_from_what_was_planned_or_not_at_all() {
        let check = |replicas: i32, found: &str, expect: Result<usize, &str>| {
            let set = SetCentralMembers { was: ips("1,2,3"), node_ips: ips("1,3") };
            let deployment = deployment(replicas, &list(&ips(found)));
            let decided = set.decide(&deployment, &told(&deployment).unwrap());
            let decided = decided.map(|operations| operations.unwrap_or_default().len());
            match expect {
                Ok(operations) => assert_eq!(decided, Ok(operations)),
                Err(part) => assert!(decided.as_ref().is_err_and(|why| why.contains(part)), "{decided:?}"),
            }
        };
        check(3, "1,2,3", Ok(5));
        check(2, "1,3", Ok(0));
        // Half done by hand, in either half.
        check(2, "1,2,3", Ok(5));
        check(3, "1,3", Ok(5));
        check(3, "1,2,4", Err("NODE_IPS of ovn-central is 10.0.0.1,10.0.0.2,10.0.0.4; it was"));
        check(3, "3,2,1", Err("somebody else changed it"));
        check(4, "1,2,3", Err("ovn-central has 4 replicas; it had 3"));
    }

    #[test]
    fn an_address_that_is_new_comes_last() {
        let check = |was: &str, node_ips: &str, expect: bool| {
            let set = SetCentralMembers { was: ips(was), node_ips: ips(node_ips) };
            assert_eq!(set.keeps_order().is_ok(), expect, "{was} -> {node_ips}");
        };
        check("1,2,3", "1,2", true);
        check("1,2,3", "2,3", true);
        check("1,2", "1,2,3", true);
        check("2,3", "2,3,1", true);
        check("1,2", "3,1,2", false);
        check("1,2", "1,3,2", false);
        check("1,2,3", "2,1", false);
        check("1,2", "3,4", false);
    }

    #[test]
    fn the_patch_tests_both_values_and_sets_both() {
        let set = SetCentralMembers { was: ips("1,2"), node_ips: ips("1,2,3") };
        let deployment = deployment(2, "10.0.0.1,10.0.0.2");
        let operations = set.decide(&deployment, &told(&deployment).unwrap()).unwrap().unwrap();
        let variable = "/spec/template/spec/containers/0/env/1";
        let expect = json!([
            {"op": "test", "path": "/spec/replicas", "value": 2},
            {"op": "replace", "path": "/spec/replicas", "value": 3},
            {"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "ovn-central"},
            {"op": "test", "path": variable, "value": {"name": "NODE_IPS", "value": "10.0.0.1,10.0.0.2"}},
            {"op": "replace", "path": format!("{variable}/value"), "value": "10.0.0.1,10.0.0.2,10.0.0.3"},
        ]);
        assert_eq!(Value::Array(operations), expect);
    }
}
