use super::*;
use serde_json::json;

const TAG: &str = "openshiftClusterID=ocp-1";
const OTHER: &str = "openshiftClusterID=ocp-2";

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn network(id: &str, name: &str, tag: &str) -> Network {
    read(json!({"id": id, "name": name, "tags": [tag], "subnets": [format!("sub-{id}")]}))
}

fn port(id: &str, network: &str, owner: &str) -> Port {
    read(json!({"id": id, "network_id": network, "device_owner": owner, "tags": [TAG]}))
}

fn in_cluster() -> InCluster {
    let net = |namespace: &str, id: &str| {
        let status = json!({"netId": id, "subnetId": format!("sub-{id}"), "routerId": "router-1"});
        read(json!({"metadata": {"name": namespace, "namespace": namespace}, "status": status}))
    };
    let balancer = json!({"metadata": {"name": "web", "namespace": "shop"}, "status": {"loadbalancer": {"id": "lb-3"}}});
    let policy = json!({"metadata": {"name": "deny", "namespace": "shop"}, "status": {"securityGroupId": "sg-3"}});
    InCluster {
        cluster: "ocp-1".to_owned(),
        networks: vec![net("shop", "net-1"), net("gone", "net-9"), net("odd", "net-3")],
        balancers: vec![read(balancer)],
        policies: vec![read(policy)],
    }
}

fn in_cloud() -> InCloud {
    let group = |id: &str, name: &str, description: &str, tag: &str| -> SecurityGroup {
        read(json!({"id": id, "name": name, "description": description, "tags": [tag]}))
    };
    let balancer = |id: &str, tags: &[&str], description: &str| -> Balancer {
        read(json!({"id": id, "name": id, "tags": tags, "description": description, "provisioning_status": "ACTIVE"}))
    };
    InCloud {
        networks: by_id(vec![
            network("net-1", "ns/shop-net", TAG),
            network("net-2", "ns/deleted-net", TAG),
            network("net-3", "ns/odd-net", OTHER),
            network("net-4", "ocp-1-openshift", TAG),
            network("net-5", "ocp-1-kuryr-service-network", TAG),
        ]),
        ports: vec![
            port("port-1", "net-1", "trunk:subport"),
            port("port-2", "net-1", "network:router_interface"),
            port("port-3", "net-4", "compute:nova"),
        ],
        trunks: vec![
            read(json!({"id": "trunk-1", "name": "worker-0", "sub_ports": [{"port_id": "port-1"}, {"port_id": "port-77"}]})),
            read(json!({"id": "trunk-2", "name": "worker-1", "sub_ports": []})),
        ],
        balancers: by_id(vec![
            balancer("lb-1", &[TAG], ""),
            balancer("lb-2", &[], "openshiftClusterID=ocp-1 kuryr"),
            balancer("lb-3", &[OTHER], ""),
            balancer("lb-4", &[], "openshiftClusterID=ocp-10"),
        ]),
        groups: by_id(vec![
            group("sg-1", "ocp-1-kuryr-pods-security-group", "", TAG),
            group("sg-2", "sg-shop", "Kuryr-Kubernetes Network Policy deny SG", TAG),
            group("sg-3", "sg-shop", "Kuryr-Kubernetes Network Policy deny SG", OTHER),
            group("sg-4", "ocp-1-worker", "", TAG),
            group("sg-5", "sg-other", "Kuryr-Kubernetes Network Policy deny SG", OTHER),
        ]),
        pools: vec![read(json!({"id": "pool-1", "name": "pods", "tags": [TAG]}))],
        routers: by_id(vec![read(json!({"id": "router-1", "name": "r", "description": "", "tags": [TAG]}))]),
        service_routers: BTreeSet::from(["router-1".to_owned()]),
    }
}

fn ids(named: &[Named]) -> Vec<&str> {
    named.iter().map(|one| one.id.as_str()).collect()
}

/// The vendor's text takes security groups by description alone, which would delete those of every cluster of the project: only what is
/// Kuryr's and this cluster's is captured.
#[test]
fn row_000_security_groups_by_description_alone() {
    let found = judge(&in_cluster(), &in_cloud()).unwrap();
    let nets: Vec<&str> = found.networks.iter().map(|net| net.id.as_str()).collect();
    assert_eq!(nets, ["net-1", "net-2"], "the machines' network and that of another cluster are not Kuryr's");
    assert_eq!(found.networks[0].ports, ["port-1"]);
    assert_eq!(found.networks[0].subnets, ["sub-net-1"]);
    assert_eq!(found.services.as_ref().unwrap().id, "net-5");
    assert!(found.trunks[1].ports.is_empty());
    assert_eq!(found.trunks[0].ports, ["port-1"]);
    assert_eq!(ids(&found.balancers), ["lb-1", "lb-2"]);
    assert_eq!(ids(&found.groups), ["sg-1", "sg-2"]);
    assert_eq!(ids(&found.pools), ["pool-1"]);
    assert_eq!(found.router.clone().unwrap().stays, None);
    let lines = found.not_ours.join("\n");
    for (what, who) in [
        ("network net-3", "KuryrNetwork"),
        ("load balancer lb-3", "KuryrLoadBalancer shop/web"),
        ("group sg-3", "KuryrNetworkPolicy"),
    ] {
        assert!(lines.contains(what) && lines.contains(who), "{what}: {lines}");
    }
}

/// The vendor's text takes the first line, which may be empty, and goes on with an argument less: here it is one router or none.
#[test]
fn row_000_router_id_of_the_first_line() {
    let check = |edit: &dyn Fn(&mut InCluster, &mut InCloud), expect: Result<Option<Option<&str>>, &str>| {
        let (mut named, mut found) = (in_cluster(), in_cloud());
        edit(&mut named, &mut found);
        let router = judge(&named, &found).map(|inventory| inventory.router.map(|router| router.stays));
        match (router, expect) {
            (Ok(router), Ok(expect)) => assert_eq!(router, expect.map(|stays| stays.map(str::to_owned))),
            (Err(error), Err(expect)) => assert_eq!(error.code, expect),
            (router, expect) => panic!("{router:?} is not {expect:?}"),
        }
    };
    let describe = |found: &mut InCloud, text: &str| found.routers.get_mut("router-1").unwrap().description = text.to_owned();
    check(&|_, _| {}, Ok(Some(None)));
    check(&|_, found| describe(found, INSTALLERS), Ok(Some(Some("the installer made it"))));
    check(
        &|_, found| found.routers.get_mut("router-1").unwrap().tags.clear(),
        Ok(Some(Some("it lacks the tag openshiftClusterID=ocp-1"))),
    );
    check(&|named, _| named.networks[0].status.router_id = "router-2".to_owned(), Err("several-routers"));
    let unnamed = |named: &mut InCluster| named.networks.iter_mut().for_each(|net| net.status.router_id.clear());
    check(&|named, _| unnamed(named), Ok(Some(None)));
    check(
        &|named, found| {
            unnamed(named);
            found.service_routers.clear();
        },
        Ok(None),
    );
}
