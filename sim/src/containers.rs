//! What runs in the containers of pods, for `pods/exec`.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

/// Runs commands in the containers of a cluster's pods.
pub trait Containers: Send + Sync + 'static {
    /// Runs a command to its end in a container of a pod that has a node; `None` if nothing of the kind runs there.
    ///
    /// The future may be dropped before it ends, when the client goes away; the command then runs on, as on a real node.
    fn exec(&self, pod: Arc<Value>, container: String, command: Vec<String>) -> BoxFuture<'static, Option<Output>>;

    /// Runs a command on the host at an address, as its root; `None` if nobody answers there.
    fn on_host(&self, address: &str, command: &[String]) -> Option<Output> {
        let _ = (address, command);
        None
    }

    /// Whether the host at an address takes connections at a port.
    fn answers(&self, address: &str, port: u16) -> bool {
        let _ = (address, port);
        false
    }

    /// Whether a command may change anything: those that only look are no writes in the audit and for faults.
    fn is_act(&self, command: &[String]) -> bool {
        let _ = command;
        true
    }
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Output {
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Its exit code.
    pub code: i32,
}

impl Output {
    /// A command that ended well with this text.
    pub fn said(text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: text.into(), ..Self::default() }
    }

    /// A command that failed with this text.
    pub fn failed(code: i32, text: impl Into<Vec<u8>>) -> Self {
        Self { stderr: text.into(), code, ..Self::default() }
    }
}
