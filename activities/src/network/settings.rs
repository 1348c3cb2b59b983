//! What a person may settle for the new network, and why some of it can't be: pure functions over what the cluster says.

use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// OVN-Kubernetes' own addresses: between routers, and between gateways and the host. The second can't be changed.
const V4_INTERNAL: &str = "100.64.0.0/16";
const V4_TRANSIT: &str = "100.88.0.0/16";
const V6_INTERNAL: &str = "fd98::/48";

/// What its tunnels take of each packet.
pub(super) const GENEVE_OVERHEAD: u32 = 100;
const GENEVE_PORT: u16 = 6081;
const VXLAN_PORT: u16 = 4789;

/// Settings of the new plugin; what is absent is as the plugin has it by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OvnSettings {
    /// The largest packet of a pod, in bytes: at least 100 less than the smallest of any node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The UDP port of its tunnels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geneve_port: Option<u16>,
    /// Its own IPv4 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v4_internal_subnet: Option<Ipv4Net>,
    /// Its own IPv6 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6_internal_subnet: Option<Ipv6Net>,
}

/// Which features' settings are carried over; the network operator carries all over that are not named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Egress addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_ip: Option<bool>,
    /// Egress firewalls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_firewall: Option<bool>,
    /// Multicast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multicast: Option<bool>,
}

/// Where pods get their addresses from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRange {
    /// `10.128.0.0/14`.
    pub cidr: IpNet,
    /// The length of each node's share.
    pub host_prefix: u8,
}

impl fmt::Display for ClusterRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with /{} a node", self.cidr, self.host_prefix)
    }
}

/// The addresses and ports that are taken, as far as the cluster says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Taken {
    pub(super) services: Vec<IpNet>,
    /// What pods have now, or shall have.
    pub(super) pods: Vec<ClusterRange>,
    pub(super) machines: Vec<IpNet>,
    /// The port of the old plugin's tunnels, if it has any.
    pub(super) vxlan_port: Option<u16>,
    pub(super) nodes: u32,
}

impl OvnSettings {
    /// Whether nothing was settled.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As `spec.defaultNetwork.ovnKubernetesConfig` has it, what was settled only.
    pub(super) fn to_config(&self) -> Value {
        let mut config = json!({});
        if let Some(mtu) = self.mtu {
            config["mtu"] = json!(mtu);
        }
        if let Some(port) = self.geneve_port {
            config["genevePort"] = json!(port);
        }
        if let Some(subnet) = self.v4_internal_subnet {
            config["v4InternalSubnet"] = json!(subnet.trunc().to_string());
        }
        if let Some(subnet) = self.v6_internal_subnet {
            config["v6InternalSubnet"] = json!(subnet.trunc().to_string());
        }
        config
    }

    /// Why these settings can't be, one line each.
    pub(super) fn troubles(&self, taken: &Taken) -> Vec<String> {
        let mut found = self.port_troubles(taken);
        let own = self.own_ranges();
        let others = taken.ranges();
        for (what, range) in &own {
            for (whose, other) in others.iter().filter(|(_, other)| overlap(range, other)) {
                found.push(format!(
                    "{what} {range} overlaps {whose} {other}; choose another with --v4-internal-subnet or --v6-internal-subnet"
                ));
            }
        }
        if let Some(v4) = self.v4_internal_subnet
            && 1_u64 << (32 - v4.prefix_len()) <= u64::from(taken.nodes)
        {
            found.push(format!("{v4} has too few addresses for {} nodes", taken.nodes));
        }
        for (first, range) in taken.pods.iter().enumerate() {
            found.extend(range.troubles(taken.nodes));
            let later = taken.pods.iter().skip(first + 1).filter(|other| overlap(&other.cidr, &range.cidr));
            found.extend(later.map(|other| format!("the cluster networks {} and {} overlap", range.cidr, other.cidr)));
            for (whose, other) in others.iter().filter(|(whose, other)| *whose != PODS && overlap(&range.cidr, other)) {
                found.push(format!("the cluster network {} overlaps {whose} {other}", range.cidr));
            }
        }
        found
    }

    fn port_troubles(&self, taken: &Taken) -> Vec<String> {
        let port = self.geneve_port.unwrap_or(GENEVE_PORT);
        let vxlan = taken.vxlan_port.unwrap_or(VXLAN_PORT);
        let same = format!("the Geneve port {port} is the VXLAN port of the present network; choose another with --geneve-port");
        (port == vxlan).then_some(same).into_iter().collect()
    }

    fn own_ranges(&self) -> Vec<(&'static str, IpNet)> {
        let parsed = |text: &str| text.parse::<IpNet>().ok();
        let v4 = self.v4_internal_subnet.map(IpNet::V4).or_else(|| parsed(V4_INTERNAL));
        let v6 = self.v6_internal_subnet.map(IpNet::V6).or_else(|| parsed(V6_INTERNAL));
        let all = [("the internal subnet", v4), ("the transit subnet", parsed(V4_TRANSIT)), ("the internal subnet", v6)];
        all.into_iter().filter_map(|(what, range)| Some((what, range?))).collect()
    }
}

const PODS: &str = "the cluster network";

impl Taken {
    fn ranges(&self) -> Vec<(&'static str, IpNet)> {
        let services = self.services.iter().map(|range| ("the service network", *range));
        let pods = self.pods.iter().map(|range| (PODS, range.cidr));
        services.chain(pods).chain(self.machines.iter().map(|range| ("the machine network", *range))).collect()
    }
}

impl ClusterRange {
    fn troubles(self, nodes: u32) -> Vec<String> {
        let (own, share) = (self.cidr.prefix_len(), self.host_prefix);
        let longest = self.cidr.max_prefix_len();
        if share < own || share > longest {
            return vec![format!("a share of /{share} does not fit into the cluster network {}", self.cidr)];
        }
        let shares = 1_u128.checked_shl(u32::from(share - own)).unwrap_or(u128::MAX);
        if shares < u128::from(nodes) {
            return vec![format!(
                "the cluster network {} has {shares} shares of /{share}, and the cluster {nodes} nodes",
                self.cidr
            )];
        }
        Vec::new()
    }
}

impl Features {
    /// Whether nothing was settled.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As `spec.migration.features` has it.
    pub(super) fn to_config(self) -> Value {
        let mut config = json!({});
        let named = [("egressIP", self.egress_ip), ("egressFirewall", self.egress_firewall), ("multicast", self.multicast)];
        for (name, kept) in named {
            if let Some(kept) = kept {
                config[name] = json!(kept);
            }
        }
        config
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Taken {
        Taken {
            services: vec!["172.30.0.0/16".parse().unwrap()],
            pods: vec![ClusterRange { cidr: "10.128.0.0/14".parse().unwrap(), host_prefix: 23 }],
            machines: vec!["10.0.0.0/16".parse().unwrap()],
            vxlan_port: Some(4789),
            nodes: 9,
        }
    }

    #[test]
    fn what_overlaps_or_does_not_fit_is_named() {
        let check = |settings: Value, edit: &dyn Fn(&mut Taken), expect: &[&str]| {
            let settings: OvnSettings = serde_json::from_value(settings).unwrap();
            let mut taken = taken();
            edit(&mut taken);
            let found = settings.troubles(&taken);
            assert!(found.len() == expect.len() && found.iter().zip(expect).all(|(text, part)| text.contains(part)), "{found:?}");
        };
        check(json!({}), &|_| {}, &[]);
        check(json!({"geneve_port": 4789}), &|_| {}, &["the Geneve port 4789 is the VXLAN port"]);
        check(json!({}), &|taken| taken.vxlan_port = Some(6081), &["the Geneve port 6081 is the VXLAN port"]);
        check(
            json!({}),
            &|taken| taken.services = vec!["100.64.3.0/24".parse().unwrap()],
            &["100.64.0.0/16 overlaps the service network"],
        );
        check(
            json!({}),
            &|taken| taken.machines = vec!["100.0.0.0/8".parse().unwrap()],
            &["the internal subnet", "the transit subnet 100.88.0.0/16"],
        );
        check(
            json!({}),
            &|taken| taken.machines = vec!["fd98:0:0:7::/64".parse().unwrap()],
            &["fd98::/48 overlaps the machine network"],
        );
        check(json!({"v4_internal_subnet": "100.68.0.0/29"}), &|_| {}, &["has too few addresses for 9 nodes"]);
        check(json!({"v4_internal_subnet": "10.129.0.0/16"}), &|_| {}, &["overlaps the cluster network 10.128.0.0/14"]);
        let pods = |cidr: &str, host_prefix| vec![ClusterRange { cidr: cidr.parse().unwrap(), host_prefix }];
        check(json!({}), &|taken| taken.pods = pods("10.132.0.0/22", 24), &["has 4 shares of /24, and the cluster 9 nodes"]);
        check(json!({}), &|taken| taken.pods = pods("10.132.0.0/22", 20), &["a share of /20 does not fit"]);
        check(
            json!({}),
            &|taken| taken.pods = pods("172.30.128.0/17", 23),
            &["the cluster network 172.30.128.0/17 overlaps the service network"],
        );
        check(
            json!({}),
            &|taken| taken.pods = pods("100.64.0.0/15", 23),
            &["the internal subnet 100.64.0.0/16 overlaps the cluster network"],
        );
    }

    #[test]
    fn only_what_was_settled_is_sent() {
        let settings: OvnSettings = serde_json::from_value(json!({"mtu": 1200, "v4_internal_subnet": "100.68.0.0/16"})).unwrap();
        assert_eq!(settings.to_config(), json!({"mtu": 1200, "v4InternalSubnet": "100.68.0.0/16"}));
        assert_eq!(OvnSettings::default().to_config(), json!({}));
        let features = Features { egress_ip: Some(false), ..Features::default() };
        assert_eq!(features.to_config(), json!({"egressIP": false}));
        // A typing error of the vendor's own page, and a number that is none.
        assert!(serde_json::from_value::<OvnSettings>(json!({"v4_internal_subnet": "10064.0.0/16"})).is_err());
        assert!(serde_json::from_value::<ClusterRange>(json!({"cidr": "10.128.0.0/14", "hostPrefix": "23"})).is_err());
    }
}
