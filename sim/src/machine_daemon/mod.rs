//! What runs in the pods of the machine-config daemon: commands on the nodes' own systems, under `chroot /rootfs`.

mod units;

use std::sync::Arc;

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use serde_json::Value;

use crate::containers::{Containers, Output};
use crate::store::Store;
use crate::store::resources::NODES;
use crate::world::json::{label, name, text};
use crate::world::nodes::address_of;

pub(crate) use units::{PowerCycle, Units};

/// The DaemonSet, its label and its container.
const DAEMON: &str = "machine-config-daemon";

/// The ports at which a host answers: all of them, and those of the control plane.
const SSH: u16 = 22;
const API: u16 = 6443;

/// The label of control-plane nodes.
const MASTER: &str = "node-role.kubernetes.io/master";

/// How long before the simulation its hosts were installed.
const INSTALLED: TimeDelta = TimeDelta::days(30);

/// The containers of an OpenShift cluster, as far as anybody runs commands in them.
pub(crate) struct Hosts {
    store: Store,
    units: Arc<Units>,
}

impl Hosts {
    pub(crate) fn new(store: Store, units: Arc<Units>) -> Self {
        Self { store, units }
    }

    /// The node at an address, if its host has power and a kernel that runs.
    fn speaking(&self, address: &str) -> Option<Arc<Value>> {
        let nodes = self.store.list(&NODES);
        nodes.into_iter().find(|node| address_of(node) == address).filter(|node| !self.units.is_off(name(node)))
    }

    /// Runs a command on a node's own system.
    fn run(&self, node: &str, words: &[&str]) -> Output {
        let boot_id = || {
            let node = self.store.get(&NODES, None, node);
            node.map_or(String::new(), |node| text(&node, "/status/nodeInfo/bootID").to_owned())
        };
        match words {
            ["cat", "/proc/stat", "/proc/sys/kernel/random/boot_id"] => {
                let since = self.units.runs_since(node).unwrap_or_else(|| self.store.clock().epoch() - INSTALLED);
                Output::said(format!("cpu  1 2 3 4\nbtime {}\nprocesses 5\n{}\n", since.timestamp(), boot_id()))
            }
            ["cat", "/proc/sys/kernel/random/boot_id"] => Output::said(format!("{}\n", boot_id())),
            ["hostname"] => Output::said(format!("{node}\n")),
            ["systemd-run", arguments @ ..] => self.units.arm(node, arguments, self.store.clock().now()),
            ["systemctl", "show", "--property=ActiveState", "--value", unit] => {
                let state = if self.units.is_armed(node, unit) { "active" } else { "inactive" };
                Output::said(format!("{state}\n"))
            }
            ["shutdown", "-r", "+1"] => {
                self.units.schedule_shutdown(node, self.store.clock().now());
                Output::said("Reboot scheduled, use 'shutdown -c' to cancel.\n")
            }
            _ => Output::failed(127, format!("chroot: failed to run command '{}': No such file or directory\n", words.join(" "))),
        }
    }
}

impl Containers for Hosts {
    fn exec(&self, pod: Arc<Value>, container: String, command: Vec<String>) -> BoxFuture<'static, Option<Output>> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = match words.as_slice() {
            ["chroot", "/rootfs", words @ ..] if label(&pod, "app") == Some(DAEMON) && container == DAEMON => {
                Some(self.run(text(&pod, "/spec/nodeName"), words))
            }
            _ => None,
        };
        ready(output).boxed()
    }

    fn on_host(&self, address: &str, command: &[String]) -> Option<Output> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        Some(self.run(name(self.speaking(address)?.as_ref()), &words))
    }

    fn answers(&self, address: &str, port: u16) -> bool {
        let speaks = |node: &Value| port == SSH || (port == API && label(node, MASTER).is_some());
        self.speaking(address).is_some_and(|node| speaks(&node))
    }

    fn is_act(&self, command: &[String]) -> bool {
        command.iter().any(|word| word == "systemd-run" || word == "shutdown")
    }
}
