//! Namespaces that are being deleted wait for what is kept in them.
//!
//! Seen to fail with: a namespace that vanishes whatever its finalizers are.

mod world_support;

use http::Method;
use serde_json::json;
use windlass_sim::store::resources::NAMESPACES;
use world_support::{calm, condition, get, patch, send, until};

#[tokio::test(start_paused = true)]
async fn a_namespace_stays_until_what_is_kept_in_it_is_let_go() {
    let sim = calm();
    let kept = json!({ "metadata": { "name": "kept", "finalizers": ["example.com/keep"] } });
    send(&sim, Method::POST, "/api/v1/namespaces/shop-0/configmaps", Some(kept)).await;
    send(&sim, Method::DELETE, "/api/v1/namespaces/shop-0", None).await;
    let told =
        |sim: &windlass_sim::Sim| condition(&get(sim, &NAMESPACES, None, "shop-0"), "NamespaceFinalizersRemaining").0 == "True";
    until(&sim, 5, "what is left", told).await;
    let namespace = get(&sim, &NAMESPACES, None, "shop-0");
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let (_, reason, message) = condition(&namespace, "NamespaceContentRemaining");
    assert_eq!(reason, "SomeResourcesRemain");
    assert_eq!(message, "Some resources are remaining: configmaps. has 1 resource instances");
    let (_, _, message) = condition(&namespace, "NamespaceFinalizersRemaining");
    assert_eq!(message, "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances");
    patch(&sim, "/api/v1/namespaces/shop-0/configmaps/kept", json!({ "metadata": { "finalizers": null } })).await;
    until(&sim, 5, "the end", |sim| sim.store().get(&NAMESPACES, None, "shop-0").is_none()).await;
    send(&sim, Method::DELETE, "/api/v1/namespaces/shop-1", None).await;
    assert!(sim.store().get(&NAMESPACES, None, "shop-1").is_none(), "nothing is kept in it");
}
