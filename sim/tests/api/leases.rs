//! Leases, and the namespaces and secrets that a client makes for itself.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use windlass_sim::store::resources::{LEASES, NAMESPACES, SECRETS};

use crate::rig::{Answer, MERGE, Rig};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/mine/leases";
const SECRET: &str = "/api/v1/namespaces/mine/secrets";

fn lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "one" },
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 60, "leaseTransitions": 1,
            "acquireTime": "2026-03-02T06:00:00.000000Z", "renewTime": "2026-03-02T06:00:00.000000Z",
        },
    })
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.code, answer.body["reason"].as_str().unwrap_or_default())
}

async fn with_namespace() -> Result<Rig> {
    let rig = Rig::new()?;
    let made = rig.post("/api/v1/namespaces", &json!({ "metadata": { "name": "mine" } })).await?;
    ensure!(made.code == 201 && made.body["status"]["phase"] == "Active", "{}", made.body);
    ensure!(made.body["metadata"]["labels"]["kubernetes.io/metadata.name"] == "mine", "{}", made.body);
    Ok(rig)
}

#[tokio::test(start_paused = true)]
async fn of_two_who_take_a_lease_one_wins() -> Result<()> {
    let rig = Rig::new()?;
    ensure!(told(&rig.post(LEASE, &lease("a")).await?) == (404, "NotFound"), "there is no namespace yet");
    let rig = with_namespace().await?;
    let again = rig.post("/api/v1/namespaces", &json!({ "metadata": { "name": "mine" } })).await?;
    ensure!(told(&again) == (409, "AlreadyExists"));
    ensure!(rig.post(LEASE, &lease("a")).await?.code == 201);
    ensure!(told(&rig.post(LEASE, &lease("b")).await?) == (409, "AlreadyExists"));
    let path = format!("{LEASE}/one");
    let seen = rig.get(&path).await?.body;
    let taken = |holder: &str| {
        let version = &seen["metadata"]["resourceVersion"];
        json!({ "metadata": { "resourceVersion": version, "annotations": { "who": holder } },
            "spec": { "holderIdentity": holder, "leaseTransitions": 2 } })
    };
    ensure!(rig.patch(MERGE, &path, &taken("b")).await?.code == 200);
    ensure!(told(&rig.patch(MERGE, &path, &taken("c")).await?) == (409, "Conflict"));
    ensure!(told(&rig.put(&path, &seen).await?) == (409, "Conflict"), "an update from the old state");
    let listed = rig.get(LEASE).await?.body;
    ensure!(listed["items"][0]["spec"]["holderIdentity"] == "b" && listed["items"][0]["metadata"]["annotations"]["who"] == "b");
    ensure!(rig.delete(&path, &json!({})).await?.code == 200 && rig.store.list(&LEASES).is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_checked_as_a_real_server_does() -> Result<()> {
    let rig = with_namespace().await?;
    let before = rig.store.revision();
    for (field, value, code) in [
        ("holderIdentity", json!(7), 400),
        ("leaseDurationSeconds", json!("60"), 400),
        ("leaseDurationSeconds", json!(0), 422),
        ("leaseTransitions", json!(-1), 422),
        ("renewTime", json!("yesterday"), 400),
    ] {
        let mut wrong = lease("a");
        wrong["spec"][field] = value.clone();
        let answer = rig.post(LEASE, &wrong).await?;
        ensure!(answer.code == code, "{field} {value}: {}", answer.body);
    }
    ensure!(rig.store.revision() == before, "a refused request changed something");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_secret_holds_encoded_data_up_to_a_limit() -> Result<()> {
    let rig = with_namespace().await?;
    let secret = |name: &str, data: Value| json!({ "metadata": { "name": name }, "data": data });
    let mut plain = secret("a", json!({ "old": "b2xk" }));
    plain["stringData"] = json!({ "text": "windlass" });
    let made = rig.post(SECRET, &plain).await?.body;
    ensure!(made["data"] == json!({ "old": "b2xk", "text": "d2luZGxhc3M=" }) && made["type"] == "Opaque", "{made}");
    ensure!(made.get("stringData").is_none(), "{made}");
    let stale = json!({ "metadata": { "resourceVersion": "1" }, "data": { "old": null } });
    ensure!(told(&rig.patch(MERGE, &format!("{SECRET}/a"), &stale).await?) == (409, "Conflict"));
    for (data, code) in [
        (json!({ "k": "not base64" }), 400),
        (json!({ "k": 1 }), 400),
        (json!("text"), 400),
        (json!({ "k": "AAAA".repeat(350_000) }), 422),
        (json!({ "k": "AAAA".repeat(349_000) }), 201),
    ] {
        let answer = rig.post(SECRET, &secret("b", data)).await?;
        ensure!(answer.code == code, "{code}: {}", answer.body["message"]);
    }
    ensure!(rig.store.list(&SECRETS).len() == 2 && rig.store.get(&NAMESPACES, None, "mine").is_some());
    Ok(())
}
