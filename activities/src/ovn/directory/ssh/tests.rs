use windlass_engine::FailureKind;

use super::*;
use crate::command::tests::script;
use crate::ids::NodeName;
use crate::ovn::directory::HostAccess;
use crate::testing::Server;

const RUN: &str = "case $last in *hostname*) echo '172.18.0.5 fd00::5';; *) exit 1;; esac";

async fn opened(body: &str, address: &str, user: &str) -> Result<(), ActivityError> {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), "ssh", &format!("for last; do :; done\n{body}"));
    let cluster = Server::healthy().cluster_by_ssh(program).await;
    let (node, address) = (NodeName::new("node-b"), address.parse().unwrap());
    check(&Ssh::new(&cluster, address, user)?, Place { node: &node, address }).await
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
}

#[test]
fn a_plan_shows_what_is_done_over_ssh() {
    let access = HostAccess::Ssh { user: "root".to_owned() };
    let lines = access.requests(&"a".into(), "10.0.0.1".parse().unwrap(), &["mv", "-T", "-n", "x", "y"]);
    assert_eq!(lines, ["ssh root@10.0.0.1 mv -T -n x y"]);
}
