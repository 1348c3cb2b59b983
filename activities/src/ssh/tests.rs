use std::path::Path;

use windlass_engine::FailureKind;

use super::*;
use crate::command::tests::script;
use crate::hosts::Hosts;
use crate::testing::{Fault, Server};

/// An `ssh` that notes what it is given and runs the remote command here, as the host's shell would.
fn ssh(folder: &Path, body: &str) -> PathBuf {
    let log = folder.join("log");
    let begin = format!("printf '%s|' \"$@\" >> {}; for last; do :; done", log.display());
    script(folder, "ssh", &format!("{begin}\n{body}"))
}

const RUN: &str = "eval \"$last\"";

/// Seen to fail with: words not quoted; `sudo` left out for users other than root.
#[tokio::test]
async fn words_reach_the_host_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Server::healthy().cluster_by_ssh(ssh(folder.path(), RUN)).await;
    let address = "172.18.0.5".parse().unwrap();
    let root = Ssh::new(&cluster, address, "root").unwrap();
    let words = ["printf", "%s/", "a b", "it's", "$(id)", "*"];
    let ended = root.command(&words, Purpose::Look).await.unwrap();
    assert_eq!((String::from_utf8(ended.stdout).unwrap().as_str(), ended.code), ("a b/it's/$(id)/*/", 0));
    let core = Ssh::new(&cluster, address, "core").unwrap();
    assert_eq!(core.arguments(&["ls"]).last().map(String::as_str), Some("'sudo' '-n' '--' 'ls'"));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("-o|BatchMode=yes|-o|ConnectTimeout=10|"), "{log}");
    assert!(log.contains("|-l|root|--|172.18.0.5|'printf'"), "{log}");
}

#[tokio::test]
async fn a_user_that_is_an_option_is_refused() {
    let cluster = Server::healthy().cluster().await;
    for user in ["-oProxyCommand=x y", "-l", "", "a@b"] {
        assert_eq!(Ssh::new(&cluster, "10.0.0.1".parse().unwrap(), user).err().unwrap().code, "bad-user");
    }
}

/// Seen to fail with: a connection that broke in mid-act said to have done nothing.
#[tokio::test]
async fn an_act_whose_end_was_not_heard_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let denied = "echo 'Permission denied (publickey).' >&2; exit 255";
    let cluster = Server::healthy().cluster_by_ssh(ssh(folder.path(), denied)).await;
    let broken = Ssh::new(&cluster, "10.0.0.1".parse().unwrap(), "root").unwrap();
    let error = async |purpose| broken.command(&["mv", "a", "b"], purpose).await.unwrap_err();
    assert_eq!(error(Purpose::Act).await.kind, FailureKind::Unknown);
    let look = error(Purpose::Look).await;
    assert_eq!(look.kind, FailureKind::Transient);
    assert!(look.message.contains("Permission denied (publickey).; `ssh root@10.0.0.1` must get in"), "{look}");
    let absent = Ssh { program: None, ..Ssh::new(&cluster, "10.0.0.1".parse().unwrap(), "root").unwrap() };
    assert_eq!(absent.command(&["ls"], Purpose::Look).await.unwrap_err().code, "no-ssh");
}

/// The addresses of a simulated cluster may be those of real hosts, which nobody may reach from there.
///
/// Seen to fail with: `ssh` run whatever the cluster is.
#[tokio::test]
async fn no_real_host_is_reached_from_a_simulated_cluster() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    assert_eq!(cluster.link.hosts, Hosts::Simulated);
    server.fail_all(Some(Fault::Code(504)));
    let ssh = Ssh::new(&cluster, "127.0.0.1".parse().unwrap(), "root").unwrap();
    assert!(ssh.program.is_none());
    let refused = ssh.command(&["true"], Purpose::Look).await.unwrap_err();
    assert!(refused.message.contains("the server answered 504"), "{refused}");
}
