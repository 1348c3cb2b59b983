//! The arguments of the changes of ovn-central's members.

use windlass_activities::NodeName;
use windlass_activities::ovn::directory::HostAccess;
use windlass_workflows::ovn_central::{CentralTerms, OvnCentralAdd, OvnCentralRemove, OvnCentralReplace};

use crate::calendar_args::CalendarArgs;
use crate::failure::Failure;

/// What the change of one member is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CentralArgs {
    /// The node, by its name in the cluster; a member that leaves and whose node is gone, by its address
    #[arg(long, value_name = "NODE")]
    pub(super) node: Option<String>,
    #[command(flatten)]
    terms: CentralTermsArgs,
}

/// What the exchange of a member is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CentralReplaceArgs {
    /// The node that leaves, by its name in the cluster; a member whose node is gone, by its address
    #[arg(long, value_name = "NODE")]
    pub(super) node: Option<String>,
    /// The node that joins; the one that leaves may join again, with empty databases
    #[arg(long, value_name = "NODE")]
    pub(super) with: Option<String>,
    /// Let the new one join before the old one leaves: never below three members, but not the vendor's order
    #[arg(long)]
    add_first: bool,
    #[command(flatten)]
    terms: CentralTermsArgs,
}

/// What is settled besides.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CentralTermsArgs {
    /// How the disks of nodes are reached: `pod` for a short-lived pod, or ssh:USER
    #[arg(long, value_name = "pod|ssh:USER", default_value = "pod")]
    host_access: String,
    /// Move database files aside that lie on the joining node, instead of stopping at them
    #[arg(long)]
    move_stale: bool,
    #[command(flatten)]
    calendar: CalendarArgs,
}

impl CentralTermsArgs {
    fn terms(&self) -> Result<CentralTerms, Failure> {
        let access = match self.host_access.split_once(':') {
            None if self.host_access == "pod" => None,
            Some(("ssh", user)) if is_login(user) => Some(HostAccess::Ssh { user: user.to_owned() }),
            Some(_) | None => {
                let message = format!("{:?} is no way to a node's disk", self.host_access);
                return Err(Failure::usage(message, "write it as in: --host-access pod, or --host-access ssh:root"));
            }
        };
        Ok(CentralTerms { access, move_stale: self.move_stale, windows: self.calendar.calendar()?, planned: None })
    }
}

/// Whether a text is a login name, and nothing that `ssh` would take for an option or a host.
pub(super) fn is_login(user: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    user.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_') && user.chars().all(plain)
}

fn named(node: Option<&String>, workflow: &str, option: &str) -> Result<NodeName, Failure> {
    let missing = || {
        Failure::usage(
            format!("{workflow} needs a node"),
            format!("add --{option}, as `kubectl get nodes` names it: --{option} NODE"),
        )
    };
    node.map(NodeName::new).ok_or_else(missing)
}

impl CentralArgs {
    pub(super) fn removal(&self) -> Result<OvnCentralRemove, Failure> {
        let node = named(self.node.as_ref(), windlass_workflows::OVN_CENTRAL_REMOVE, "node")?;
        Ok(OvnCentralRemove { node, terms: self.terms.terms()? })
    }

    pub(super) fn addition(&self) -> Result<OvnCentralAdd, Failure> {
        let node = named(self.node.as_ref(), windlass_workflows::OVN_CENTRAL_ADD, "node")?;
        Ok(OvnCentralAdd { node, terms: self.terms.terms()? })
    }
}

impl CentralReplaceArgs {
    pub(super) fn exchange(&self) -> Result<OvnCentralReplace, Failure> {
        let workflow = windlass_workflows::OVN_CENTRAL_REPLACE;
        let node = named(self.node.as_ref(), workflow, "node")?;
        let with = named(self.with.as_ref(), workflow, "with")?;
        if self.add_first && node == with {
            return Err(Failure::usage(
                format!("{node} can't join before it leaves"),
                "leave --add-first out, or name another node",
            ));
        }
        Ok(OvnCentralReplace { node, with, add_first: self.add_first, terms: self.terms.terms()? })
    }
}
