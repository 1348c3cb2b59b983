//! The workflows as the command line knows them: their arguments, and the way from arguments to a plan and an input.

mod central;
mod input;
mod network;
mod prepare;
mod terms;

use clap::{Args, Subcommand};
use windlass_activities::Channel;
use windlass_activities::release::Minor;
use windlass_activities::target::Wanted;
use windlass_engine::Event;
use windlass_sim::ClusterShape;
use windlass_sim::shape::NetworkPlugin;
use windlass_workflows::cluster_update::ClusterUpdate;
use windlass_workflows::eus_update::EusUpdate;
use windlass_workflows::{
    CLUSTER_UPDATE, EUS_UPDATE, KURYR_TO_OVN, OVN_CENTRAL_ADD, OVN_CENTRAL_REMOVE, OVN_CENTRAL_REPLACE, OVN_TO_SDN, Plan,
    SDN_TO_OVN,
};

use crate::failure::Failure;

use central::{CentralArgs, CentralReplaceArgs};
pub(crate) use input::Input;
use network::{BegunArgs, BegunKuryrArgs, FromKuryrArgs, ToOvnArgs, ToSdnArgs};
pub(crate) use prepare::{COPIES, Prepared, catalogue, connect, prepare};
use terms::TermsArgs;

/// The workflows.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Procedure {
    /// From one EUS release to the next, with one reboot of each worker
    EusUpdate(EusUpdateArgs),
    /// To another release of the same minor, or to the next minor
    ClusterUpdate(ClusterUpdateArgs),
    /// A node leaves Kube-OVN's ovn-central, in both databases
    OvnCentralRemove(CentralArgs),
    /// A node joins Kube-OVN's ovn-central, in both databases
    OvnCentralAdd(CentralArgs),
    /// One node of Kube-OVN's ovn-central is exchanged for another
    OvnCentralReplace(CentralReplaceArgs),
    /// From OpenShift SDN to OVN-Kubernetes, with all nodes rebooted at once
    SdnToOvn(ToOvnArgs),
    /// Back from OVN-Kubernetes to OpenShift SDN
    OvnToSdn(ToSdnArgs),
    /// From Kuryr to OVN-Kubernetes, and Kuryr's objects out of the OpenStack project
    KuryrToOvn(FromKuryrArgs),
}

/// The workflows that go on with what somebody began by hand.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Begun {
    /// A migration from OpenShift SDN to OVN-Kubernetes
    SdnToOvn(BegunArgs),
    /// A migration back from OVN-Kubernetes to OpenShift SDN
    OvnToSdn(BegunArgs),
    /// A migration from Kuryr to OVN-Kubernetes
    KuryrToOvn(BegunKuryrArgs),
}

impl Begun {
    /// The workflow that goes on with it.
    pub(crate) fn procedure(&self) -> Procedure {
        match self {
            Self::SdnToOvn(args) => Procedure::SdnToOvn(args.to_ovn()),
            Self::OvnToSdn(args) => Procedure::OvnToSdn(args.to_sdn()),
            Self::KuryrToOvn(args) => Procedure::KuryrToOvn(args.kuryr()),
        }
    }
}

/// What an EUS-to-EUS update is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct EusUpdateArgs {
    /// The minor release to arrive at, two after the present one: 4.18
    #[arg(long, value_name = "MINOR")]
    to: Option<String>,
    /// The update channel [default: eus-MINOR]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// How many days the pools may stay paused; certificates must outlast them
    #[arg(long, value_name = "DAYS", default_value_t = 60)]
    pause_days: u32,
    #[command(flatten)]
    terms: TermsArgs,
}

/// What a cluster update is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterUpdateArgs {
    /// The release to arrive at: a version, or `latest` for the newest that the channel recommends
    #[arg(long, value_name = "VERSION", conflicts_with = "to_image")]
    to: Option<String>,
    /// The release by digest, for clusters without an update service: registry/repository@sha256:…
    #[arg(long, value_name = "IMAGE")]
    to_image: Option<String>,
    /// The update channel [default: the cluster's present one]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// How many days the pools may stay paused; certificates must outlast them
    #[arg(long, value_name = "DAYS", default_value_t = 60)]
    pause_days: u32,
    #[command(flatten)]
    terms: TermsArgs,
}

/// The signal under which a run is told the plan that a person agreed to.
pub(crate) const PLAN_SIGNAL: &str = "plan";

impl Procedure {
    /// The registered name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EusUpdate(_) => EUS_UPDATE,
            Self::ClusterUpdate(_) => CLUSTER_UPDATE,
            Self::OvnCentralRemove(_) => OVN_CENTRAL_REMOVE,
            Self::OvnCentralAdd(_) => OVN_CENTRAL_ADD,
            Self::OvnCentralReplace(_) => OVN_CENTRAL_REPLACE,
            Self::SdnToOvn(_) => SDN_TO_OVN,
            Self::OvnToSdn(_) => OVN_TO_SDN,
            Self::KuryrToOvn(_) => KURYR_TO_OVN,
        }
    }

    /// Fills in what a rehearsal need not be told, and keeps it from asking anything outside of the simulated cluster.
    pub(crate) fn for_cluster_at(&mut self, version: &str) {
        match self {
            Self::EusUpdate(args) => {
                args.terms.simulated = true;
                let minor = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
                if let (None, Ok(here)) = (&args.to, minor.parse::<Minor>()) {
                    args.to = Some(here.plus(2).to_string());
                }
            }
            Self::ClusterUpdate(args) => {
                args.terms.simulated = true;
                if args.to_image.is_none() {
                    args.to.get_or_insert_with(|| LATEST.to_owned());
                }
            }
            Self::OvnCentralRemove(args) => _ = args.node.get_or_insert_with(|| LEAVES.to_owned()),
            Self::OvnCentralAdd(args) => _ = args.node.get_or_insert_with(|| JOINS.to_owned()),
            Self::OvnCentralReplace(args) => {
                args.node.get_or_insert_with(|| LEAVES.to_owned());
                args.with.get_or_insert_with(|| JOINS.to_owned());
            }
            Self::SdnToOvn(_) | Self::OvnToSdn(_) | Self::KuryrToOvn(_) => {}
        }
    }

    /// The run's input as far as the arguments tell it.
    pub(crate) fn input(&self) -> Result<Input, Failure> {
        match self {
            Self::EusUpdate(args) => args.input().map(Input::Eus),
            Self::ClusterUpdate(args) => args.input().map(Input::Cluster),
            Self::OvnCentralRemove(args) => args.removal().map(Input::Remove),
            Self::OvnCentralAdd(args) => args.addition().map(Input::Add),
            Self::OvnCentralReplace(args) => args.exchange().map(Input::Replace),
            Self::SdnToOvn(args) => args.migration().map(Input::ToOvn),
            Self::OvnToSdn(args) => args.migration().map(Input::ToSdn),
            Self::KuryrToOvn(args) => args.migration().map(Input::FromKuryr),
        }
    }

    /// Which products on top of the platform a person wants to be asked about, if they said so.
    pub(crate) fn names_layered(&self) -> bool {
        match self {
            Self::EusUpdate(args) => args.terms.names_layered(),
            Self::ClusterUpdate(args) => args.terms.names_layered(),
            Self::OvnCentralRemove(_)
            | Self::OvnCentralAdd(_)
            | Self::OvnCentralReplace(_)
            | Self::SdnToOvn(_)
            | Self::OvnToSdn(_)
            | Self::KuryrToOvn(_) => false,
        }
    }

    /// Makes a simulated cluster one that it is for.
    pub(crate) fn suit(&self, shape: &mut ClusterShape) {
        match self {
            Self::OvnCentralRemove(_) | Self::OvnCentralAdd(_) | Self::OvnCentralReplace(_) => {
                shape.kube_ovn.get_or_insert_default();
            }
            Self::SdnToOvn(_) => shape.network = NetworkPlugin::Sdn,
            Self::KuryrToOvn(_) => {
                shape.network = NetworkPlugin::Kuryr;
                shape.suit_kuryr();
            }
            Self::EusUpdate(_) | Self::ClusterUpdate(_) | Self::OvnToSdn(_) => {}
        }
    }
}

/// The member that leaves in a rehearsal.
const LEAVES: &str = "control-plane-2";

/// The node that joins in a rehearsal.
const JOINS: &str = "worker-0";

/// What stands for the newest release.
const LATEST: &str = "latest";

impl EusUpdateArgs {
    fn input(&self) -> Result<EusUpdate, Failure> {
        let asked = self.to.as_ref().ok_or_else(|| {
            Failure::usage("eus-update needs the minor release to arrive at", "add --to, for instance: --to 4.18")
        })?;
        let target: Minor =
            asked.parse().map_err(|_| Failure::usage(format!("{asked:?} is no minor release"), "write it as in: --to 4.18"))?;
        let channel = self.channel.clone().map_or_else(|| Channel::new(format!("eus-{target}")), Channel::new);
        Ok(EusUpdate { channel, target, pause_days: self.pause_days, planned: None, terms: self.terms.terms()? })
    }
}

impl ClusterUpdateArgs {
    fn input(&self) -> Result<ClusterUpdate, Failure> {
        let wanted = match (&self.to, &self.to_image) {
            (_, Some(image)) => Wanted::Digest(image.clone()),
            (Some(version), None) if version == LATEST => Wanted::Newest,
            (Some(version), None) => Wanted::Version(version.parse().map_err(|_| {
                Failure::usage(format!("{version:?} is no release"), "write it as in: --to 4.16.30, or --to latest")
            })?),
            (None, None) => {
                let next = "add --to, for instance: --to 4.16.30, or --to latest";
                return Err(Failure::usage("cluster-update needs the release to arrive at", next));
            }
        };
        let channel = self.channel.clone().map(Channel::new);
        Ok(ClusterUpdate { channel, wanted, pause_days: self.pause_days, planned: None, terms: self.terms.terms()? })
    }
}

/// The plan that an event tells a run, if it does.
pub(crate) fn plan_in(event: &Event) -> Option<Plan> {
    let Event::SignalReceived { signal, payload, .. } = event else { return None };
    if signal == PLAN_SIGNAL { payload.to().ok() } else { None }
}
