use std::path::Path;

use windlass_engine::FailureKind;

use super::*;
use crate::command::tests::script;
use crate::ids::NodeName;
use crate::ovn::directory::HostAccess;
use crate::testing::Server;

/// An `ssh` that notes what it is given and runs the remote command here, as the host's shell would.
fn ssh(folder: &Path, body: &str) -> PathBuf {
    let log = folder.join("log");
    let begin = format!("printf '%s|' \"$@\" >> {}; for last; do :; done", log.display());
    script(folder, "ssh", &format!("{begin}\n{body}"))
}

const RUN: &str = "case $last in *hostname*) echo '172.18.0.5 fd00::5';; *) eval \"$last\";; esac";

async fn opened(body: &str, address: &str, user: &str) -> Result<(), ActivityError> {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Server::healthy().cluster().await;
    let (node, address) = (NodeName::new("node-b"), address.parse().unwrap());
    let ssh = Ssh { program: Some(ssh(folder.path(), body)), ..Ssh::new(&cluster, address, user) };
    ssh.open(Place { node: &node, address }).await
}

/// Seen to fail with: the host's own addresses not compared.
#[tokio::test]
async fn a_host_that_is_not_the_one_that_is_meant_is_refused() {
    opened(RUN, "172.18.0.5", "root").await.unwrap();
    opened(RUN, "fd00::5", "core").await.unwrap();
    let bare = "case $last in *hostname*) exit 1;; *) echo '2: eth0    inet 172.18.0.5/16 brd 172.18.255.255';; esac";
    opened(bare, "172.18.0.5", "root").await.unwrap();
    let error = opened(RUN, "172.18.0.6", "root").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (FailureKind::Permanent, "wrong-host"));
    assert_eq!(
        error.message,
        "node node-b is not the host at 172.18.0.6: asked for its addresses over ssh it says: 172.18.0.5, fd00::5; nothing was \
         touched; plan again"
    );
    assert_eq!(opened(RUN, "172.18.0.5", "-oProxyCommand=x y").await.unwrap_err().code, "bad-user");
    let denied = opened("echo 'Permission denied (publickey).' >&2; exit 255", "172.18.0.5", "root").await.unwrap_err();
    assert_eq!(denied.kind, FailureKind::Transient, "{denied}");
    assert!(denied.message.contains("Permission denied (publickey).; `ssh root@172.18.0.5` must get in"), "{denied}");
}

/// Seen to fail with: words not quoted; `sudo` left out for users other than root.
#[tokio::test]
async fn words_reach_the_host_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Server::healthy().cluster().await;
    let address = "172.18.0.5".parse().unwrap();
    let program = Some(ssh(folder.path(), RUN));
    let root = Ssh { program: program.clone(), ..Ssh::new(&cluster, address, "root") };
    let words = ["printf", "%s/", "a b", "it's", "$(id)", "*"];
    let ended = root.command(&words, Purpose::Look).await.unwrap();
    assert_eq!((String::from_utf8(ended.stdout).unwrap().as_str(), ended.code), ("a b/it's/$(id)/*/", 0));
    let core = Ssh { program, ..Ssh::new(&cluster, address, "core") };
    assert_eq!(core.arguments(&["ls"]).last().map(String::as_str), Some("'sudo' '-n' '--' 'ls'"));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("-o|BatchMode=yes|-o|ConnectTimeout=10|"), "{log}");
    assert!(log.contains("|-l|root|--|172.18.0.5|'printf'"), "{log}");
}

/// Seen to fail with: a connection that broke in mid-act said to have done nothing.
#[tokio::test]
async fn an_act_whose_end_was_not_heard_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Server::healthy().cluster().await;
    let broken = Ssh { program: Some(ssh(folder.path(), "exit 255")), ..Ssh::new(&cluster, "10.0.0.1".parse().unwrap(), "root") };
    let kind = async |purpose| broken.command(&["mv", "a", "b"], purpose).await.unwrap_err().kind;
    assert_eq!(kind(Purpose::Act).await, FailureKind::Unknown);
    assert_eq!(kind(Purpose::Look).await, FailureKind::Transient);
    let absent = Ssh { program: None, ..Ssh::new(&cluster, "10.0.0.1".parse().unwrap(), "root") };
    assert_eq!(absent.command(&["ls"], Purpose::Look).await.unwrap_err().code, "no-ssh");
}

#[test]
fn a_plan_shows_what_is_done_over_ssh() {
    let access = HostAccess::Ssh { user: "root".to_owned() };
    let lines = access.requests(&"a".into(), "10.0.0.1".parse().unwrap(), &["mv", "-T", "-n", "x", "y"]);
    assert_eq!(lines, ["ssh root@10.0.0.1 mv -T -n x y"]);
}
