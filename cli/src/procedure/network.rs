//! The arguments of the migrations from one network plugin to another.

use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use windlass_activities::network::reboot::RebootWay;
use windlass_activities::network::settings::{ClusterRange, Features, OvnSettings};
use windlass_workflows::kuryr_to_ovn::KuryrMigration;
use windlass_workflows::network_migration::NetworkMigration;

use super::central::is_login;
use crate::calendar_args::CalendarArgs;
use crate::failure::Failure;

/// The vendor's own variable for how long the operators may take to be well.
const TIMEOUT: &str = "OVN_SDN_MIGRATION_TIMEOUT";

/// What a migration to OVN-Kubernetes is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ToOvnArgs {
    /// The largest packet of a pod in bytes, 100 less than the smallest of any node [default: as the plugin finds it]
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// The UDP port of the new tunnels [default: 6081]
    #[arg(long, value_name = "PORT")]
    geneve_port: Option<u16>,
    /// Addresses that the plugin takes for itself [default: 100.64.0.0/16]
    #[arg(long, value_name = "CIDR")]
    v4_internal_subnet: Option<String>,
    /// Addresses that the plugin takes for itself [default: fd98::/48]
    #[arg(long, value_name = "CIDR")]
    v6_internal_subnet: Option<String>,
    /// Settings that are not carried over: egress-ip, egress-firewall, multicast
    #[arg(long, value_name = "FEATURE,…", value_delimiter = ',')]
    leave_behind: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// What a migration back to OpenShift SDN is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ToSdnArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// What a migration from Kuryr is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct FromKuryrArgs {
    #[command(flatten)]
    os_cloud: CloudArg,
    #[command(flatten)]
    to_ovn: ToOvnArgs,
}

/// What both are told.
#[derive(clap::Args, Clone, Debug)]
struct CommonArgs {
    /// Other addresses for the pods, with the length of each node's share: 10.132.0.0/14:23
    #[arg(long, value_name = "CIDR:PREFIX,…", value_delimiter = ',')]
    cluster_network: Vec<String>,
    /// How many seconds the cluster is given to be well before anything is changed; 0 means 1200
    #[arg(long, value_name = "SECONDS", env = TIMEOUT)]
    health_timeout: Option<String>,
    /// How the hosts are told to reboot: `daemon` for a command in the machine-config daemon's pods, or ssh, or ssh:USER
    #[arg(long, value_name = "daemon|ssh[:USER]", default_value = "daemon")]
    reboot_by: String,
    #[command(flatten)]
    calendar: CalendarArgs,
    /// Whether somebody began it by hand.
    #[arg(skip)]
    adopt: bool,
}

/// What is told of a migration that somebody began by hand: the settings of the new plugin were told to the cluster then.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BegunArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// What is told of a migration from Kuryr that somebody began by hand.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BegunKuryrArgs {
    #[command(flatten)]
    os_cloud: CloudArg,
    #[command(flatten)]
    begun: BegunArgs,
}

impl BegunKuryrArgs {
    pub(super) fn kuryr(&self) -> FromKuryrArgs {
        FromKuryrArgs { os_cloud: self.os_cloud.clone(), to_ovn: self.begun.to_ovn() }
    }
}

/// Which cloud the cluster stands on.
#[derive(clap::Args, Clone, Debug)]
struct CloudArg {
    /// The cloud under the cluster, as clouds.yaml names it
    #[arg(long, value_name = "NAME", env = "OS_CLOUD", default_value = "openstack")]
    os_cloud: String,
}

impl BegunArgs {
    pub(super) fn to_ovn(&self) -> ToOvnArgs {
        ToOvnArgs {
            mtu: None,
            geneve_port: None,
            v4_internal_subnet: None,
            v6_internal_subnet: None,
            leave_behind: Vec::new(),
            common: self.adopting(),
        }
    }

    pub(super) fn to_sdn(&self) -> ToSdnArgs {
        ToSdnArgs { common: self.adopting() }
    }

    fn adopting(&self) -> CommonArgs {
        CommonArgs { adopt: true, ..self.common.clone() }
    }
}

impl ToOvnArgs {
    pub(super) fn migration(&self) -> Result<NetworkMigration, Failure> {
        let settings = OvnSettings {
            mtu: self.mtu,
            geneve_port: self.geneve_port,
            v4_internal_subnet: read::<Ipv4Net>(self.v4_internal_subnet.as_deref(), "--v4-internal-subnet 100.68.0.0/16")?,
            v6_internal_subnet: read::<Ipv6Net>(self.v6_internal_subnet.as_deref(), "--v6-internal-subnet fd97::/48")?,
        };
        let mut features = Features::default();
        for name in &self.leave_behind {
            let feature = match name.as_str() {
                "egress-ip" => &mut features.egress_ip,
                "egress-firewall" => &mut features.egress_firewall,
                "multicast" => &mut features.multicast,
                other => {
                    let next = "name one of: egress-ip, egress-firewall, multicast";
                    return Err(Failure::usage(format!("{other:?} is nothing that a migration carries over"), next));
                }
            };
            *feature = Some(false);
        }
        self.common.migration(settings, features)
    }
}

impl FromKuryrArgs {
    pub(super) fn migration(&self) -> Result<KuryrMigration, Failure> {
        let cloud = self.os_cloud.os_cloud.clone();
        if cloud.is_empty() {
            return Err(Failure::usage("the name of the cloud is empty", "name it as in: --os-cloud openstack"));
        }
        if !self.to_ovn.leave_behind.is_empty() {
            let next = "leave out --leave-behind";
            return Err(Failure::usage("from Kuryr nothing is carried over that could be left behind", next));
        }
        Ok(KuryrMigration { cloud, migration: self.to_ovn.migration()? })
    }
}

impl ToSdnArgs {
    pub(super) fn migration(&self) -> Result<NetworkMigration, Failure> {
        self.common.migration(OvnSettings::default(), Features::default())
    }
}

impl CommonArgs {
    fn migration(&self, settings: OvnSettings, features: Features) -> Result<NetworkMigration, Failure> {
        let cluster_network = self.cluster_network.iter().map(|text| range(text)).collect::<Result<_, _>>()?;
        let windows = self.calendar.calendar()?;
        let (health_seconds, reboot_by) = (self.health_seconds()?, self.reboot_by()?);
        Ok(NetworkMigration { features, settings, cluster_network, windows, health_seconds, reboot_by, adopt: self.adopt })
    }

    fn reboot_by(&self) -> Result<RebootWay, Failure> {
        let text = self.reboot_by.as_str();
        let user = match text.split_once(':') {
            None if text == "daemon" => return Ok(RebootWay::Daemon),
            None if text == "ssh" => RebootWay::USER,
            Some(("ssh", user)) if is_login(user) => user,
            Some(_) | None => {
                let next = "write it as in: --reboot-by daemon, or --reboot-by ssh:core";
                return Err(Failure::usage(format!("{text:?} is no way to tell a host to reboot"), next));
            }
        };
        Ok(RebootWay::Ssh { user: user.to_owned() })
    }

    /// Like the vendor's script, which takes `1200s` and does not take `0s` at its word.
    fn health_seconds(&self) -> Result<Option<u64>, Failure> {
        let Some(text) = self.health_timeout.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let bad = |_| {
            let next = "write it as in: --health-timeout 1800";
            Failure::usage(format!("{text:?} is no number of seconds, in --health-timeout or {TIMEOUT}"), next)
        };
        let seconds: u64 = text.trim_end_matches('s').parse().map_err(bad)?;
        Ok(Some(seconds).filter(|seconds| *seconds > 0))
    }
}

fn read<T: FromStr>(text: Option<&str>, example: &str) -> Result<Option<T>, Failure> {
    let bad = |text: &str| Failure::usage(format!("{text:?} is no range of addresses"), format!("write it as in: {example}"));
    text.map(|text| text.parse().map_err(|_| bad(text))).transpose()
}

fn range(text: &str) -> Result<ClusterRange, Failure> {
    let parsed = text.rsplit_once(':').and_then(|(cidr, prefix)| {
        let (cidr, host_prefix) = (cidr.parse::<IpNet>().ok()?, prefix.parse().ok()?);
        Some(ClusterRange { cidr, host_prefix })
    });
    parsed.ok_or_else(|| {
        let next = "write it as in: --cluster-network 10.132.0.0/14:23";
        Failure::usage(format!("{text:?} is no cluster network with the length of a node's share"), next)
    })
}
