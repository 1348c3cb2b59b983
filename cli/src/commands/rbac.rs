//! `windlass rbac`

use windlass_activities::admin_ack::{AcknowledgeGate, ReadGates};
use windlass_activities::canary::{
    AwaitWaveDissolved, AwaitWaveFormed, AwaitWaveHealthy, AwaitWaveRendered, ChooseWaves, CordonNode, CreateWavePool,
    DeleteWavePool, DrainNode, LabelWave, ReadWave, UncordonNode, UnlabelWave,
};
use windlass_activities::channel::{AwaitUpdatesRetrieved, SetChannel};
use windlass_activities::credentials::{AwaitCredentialsUpgradeable, CheckCredentialFiles, ReadCredentials, SetUpgradeableTo};
use windlass_activities::deadline::ReadDeadlines;
use windlass_activities::estimate::ReadEstimates;
use windlass_activities::inventory::ReadInventory;
use windlass_activities::kuryr::capture::CaptureKuryr;
use windlass_activities::kuryr::delete::DeleteCloudObject;
use windlass_activities::kuryr::detach::{DetachSubnet, RemoveSubPorts};
use windlass_activities::kuryr::finalizers::{DeleteGatewayService, RemoveFinalizers};
use windlass_activities::kuryr::ports::DeletePorts;
use windlass_activities::kuryr::sweep::SweepKuryr;
use windlass_activities::machine_health::{ListHealthChecks, PauseHealthCheck, ResumeHealthCheck};
use windlass_activities::network::backup::BackUpNetwork;
use windlass_activities::network::check::CheckMigration;
use windlass_activities::network::infer::InferStep;
use windlass_activities::network::operator::{AwaitNetworkOperator, EndMigration, PrepareMigration};
use windlass_activities::network::policies::{BackUpHostPolicies, DeleteHostPolicy};
use windlass_activities::network::prepared::CheckPrepared;
use windlass_activities::network::reboot::{ArmReboot, AwaitReboots, ReadBoots};
use windlass_activities::network::remove::{AwaitNamespaceGone, ClearPluginSettings, DeleteNamespace};
use windlass_activities::network::switch::{AwaitMultus, SwitchPlugin};
use windlass_activities::ovn::backup::BackUpDatabase;
use windlass_activities::ovn::central::{AwaitCentralRollout, RemoveCentralPod, SetCentralMembers};
use windlass_activities::ovn::check::CheckCentral;
use windlass_activities::ovn::clients::{AwaitClient, ListClients, ListStalePods, RestartOvsPod, SetDatabaseAddresses};
use windlass_activities::ovn::directory::{LookAtDirectory, MoveDirectoryAside};
use windlass_activities::ovn::kick::KickServer;
use windlass_activities::ovn::label::LabelNode;
use windlass_activities::ovn::members::AwaitMembers;
use windlass_activities::pool::{AwaitPool, ListPools, PausePool, ReleasePool, ReturnPool};
use windlass_activities::preflight::Preflight;
use windlass_activities::rbac::{MIRROR, Permission, needed_for, roles_granting};
use windlass_activities::release::{ResolveHop, ResolvePath};
use windlass_activities::target::{CheckDisconnected, CheckRisks, ResolveTarget, SetUpstream};
use windlass_activities::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use windlass_activities::verify::{CheckHealth, FinalVerification};
use windlass_engine::{Activity, ActivityName};
use windlass_sim::snapshot::{KINDS, Kept, Reach};
use windlass_workflows::{
    CLUSTER_UPDATE, EUS_UPDATE, KURYR_TO_OVN, OVN_CENTRAL_ADD, OVN_CENTRAL_REMOVE, OVN_CENTRAL_REPLACE, OVN_TO_SDN, SDN_TO_OVN,
};

use crate::app::App;
use crate::failure::{Exit, Failure, Outcome};
use crate::mirror::CLUSTER;
use crate::ui::Format;

/// What every update does on a cluster, its plan included. What reaches no cluster needs no permission: windows, probes, ccoctl.
const UPDATE: [ActivityName; 41] = [
    ReadInventory::NAME,
    ReadEstimates::NAME,
    Preflight::NAME,
    CheckDisconnected::NAME,
    SetUpstream::NAME,
    SetChannel::NAME,
    ListHealthChecks::NAME,
    PauseHealthCheck::NAME,
    ResumeHealthCheck::NAME,
    ListPools::NAME,
    PausePool::NAME,
    ReleasePool::NAME,
    ReturnPool::NAME,
    AwaitPool::NAME,
    ReadDeadlines::NAME,
    ReadUpdateState::NAME,
    AwaitUpdatesRetrieved::NAME,
    CheckRisks::NAME,
    RequestUpdate::NAME,
    AwaitControlPlane::NAME,
    ReadGates::NAME,
    AcknowledgeGate::NAME,
    ReadCredentials::NAME,
    CheckCredentialFiles::NAME,
    SetUpgradeableTo::NAME,
    AwaitCredentialsUpgradeable::NAME,
    CheckHealth::NAME,
    FinalVerification::NAME,
    ChooseWaves::NAME,
    CreateWavePool::NAME,
    AwaitWaveRendered::NAME,
    LabelWave::NAME,
    AwaitWaveFormed::NAME,
    AwaitWaveHealthy::NAME,
    ReadWave::NAME,
    UnlabelWave::NAME,
    AwaitWaveDissolved::NAME,
    DeleteWavePool::NAME,
    CordonNode::NAME,
    UncordonNode::NAME,
    DrainNode::NAME,
];

/// What the changes of ovn-central's members run.
const OVN_CENTRAL: [ActivityName; 15] = [
    CheckCentral::NAME,
    ListClients::NAME,
    LookAtDirectory::NAME,
    BackUpDatabase::NAME,
    KickServer::NAME,
    AwaitMembers::NAME,
    LabelNode::NAME,
    RemoveCentralPod::NAME,
    SetCentralMembers::NAME,
    AwaitCentralRollout::NAME,
    SetDatabaseAddresses::NAME,
    AwaitClient::NAME,
    ListStalePods::NAME,
    RestartOvsPod::NAME,
    MoveDirectoryAside::NAME,
];

/// What the migrations of the network run.
const NETWORK: [ActivityName; 24] = [
    CheckMigration::NAME,
    BackUpHostPolicies::NAME,
    DeleteHostPolicy::NAME,
    InferStep::NAME,
    CheckHealth::NAME,
    BackUpNetwork::NAME,
    PrepareMigration::NAME,
    AwaitNetworkOperator::NAME,
    ListPools::NAME,
    AwaitPool::NAME,
    CheckPrepared::NAME,
    ListHealthChecks::NAME,
    PauseHealthCheck::NAME,
    ResumeHealthCheck::NAME,
    ReadBoots::NAME,
    SwitchPlugin::NAME,
    AwaitMultus::NAME,
    ArmReboot::NAME,
    AwaitReboots::NAME,
    EndMigration::NAME,
    ClearPluginSettings::NAME,
    DeleteNamespace::NAME,
    AwaitNamespaceGone::NAME,
    ReadEstimates::NAME,
];

/// What the migration from Kuryr runs besides.
const KURYR: [ActivityName; 8] = [
    CaptureKuryr::NAME,
    RemoveFinalizers::NAME,
    DeleteGatewayService::NAME,
    DeleteCloudObject::NAME,
    DetachSubnet::NAME,
    RemoveSubPorts::NAME,
    DeletePorts::NAME,
    SweepKuryr::NAME,
];

/// What asks for the permissions of `windlass snapshot`.
const SNAPSHOT: &str = "snapshot";

/// Whoever connects looks first which cluster it is.
const CONNECT: Permission =
    Permission { verb: "get", group: "config.openshift.io", resource: "clusterversions", namespace: None };

/// A cluster that is not OpenShift's is known by its namespace `kube-system`.
const IDENTIFY: Permission = Permission { verb: "get", group: "", resource: "namespaces", namespace: None };

/// Print the least permissions that a workflow needs, ready for `oc apply`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workflow, or `snapshot` for what `windlass snapshot` reads
    #[arg(default_value = EUS_UPDATE)]
    workflow: String,
    /// With what `--mirror cluster` needs, and `adopt --from cluster`; every other mirror needs nothing of the cluster
    #[arg(long, value_name = "cluster", value_parser = [CLUSTER], hide_possible_values = true)]
    mirror: Option<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let needed = match args.workflow.as_str() {
        EUS_UPDATE => of_update(&[ResolvePath::NAME, ResolveHop::NAME]),
        CLUSTER_UPDATE => of_update(&[ResolveTarget::NAME]),
        OVN_CENTRAL_ADD | OVN_CENTRAL_REMOVE | OVN_CENTRAL_REPLACE => {
            needed_for(OVN_CENTRAL.iter().map(|name| name.as_str())).chain([CONNECT, IDENTIFY]).collect()
        }
        SDN_TO_OVN | OVN_TO_SDN => needed_for(NETWORK.iter().map(|name| name.as_str())).chain([CONNECT]).collect(),
        KURYR_TO_OVN => needed_for(NETWORK.iter().chain(&KURYR).map(|name| name.as_str())).chain([CONNECT]).collect(),
        SNAPSHOT => KINDS.iter().flat_map(reads).chain([CONNECT]).collect(),
        other => {
            let known = windlass_workflows::CATALOGUE.iter().map(|(name, _, _)| *name).collect::<Vec<_>>();
            let message = format!("there is no workflow {other}; there is {}, {SNAPSHOT}", known.join(", "));
            return Err(Failure::usage(message, format!("windlass rbac {}", known.first().unwrap_or(&EUS_UPDATE))));
        }
    };
    let of_mirror = args.mirror.iter().flat_map(|_| MIRROR);
    let roles = roles_granting(needed.into_iter().chain(of_mirror));
    match app.ui.format {
        Format::Json => app.ui.value(&roles)?,
        // What `oc apply -f -` reads.
        Format::Table | Format::Yaml => {
            for role in roles {
                app.ui.data("---\n")?;
                app.ui.yaml(&role)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn of_update(own: &[ActivityName]) -> Vec<Permission> {
    needed_for(UPDATE.iter().chain(own).map(|name| name.as_str())).collect()
}

/// What a snapshot needs for one kind of object.
fn reads(kept: &Kept) -> Vec<Permission> {
    let group = kept.api_version.split_once('/').map_or("", |(group, _)| group);
    let may = |verb, namespace| Permission { verb, group, resource: kept.plural, namespace };
    match kept.scope {
        Reach::All | Reach::Without(_) => vec![may("list", None)],
        Reach::Named(names) | Reach::MetadataOf(names) => {
            names.iter().map(|(namespace, _)| may("get", Some(*namespace))).collect()
        }
    }
}
