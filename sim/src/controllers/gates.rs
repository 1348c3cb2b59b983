//! Operators that forbid the next minor update for reasons of their own: OLM and the credentials operator.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::mirror::News;
use super::{Controller, Cx};
use crate::store::resources::{CLOUDCREDENTIALS, CLUSTEROPERATORS, CLUSTERSERVICEVERSIONS, SECRETS};
use crate::world::graph::parse;
use crate::world::json::{Said, annotation, name, namespace, set_condition, text};

/// Keeps `Upgradeable` of the operators that judge other objects.
pub(super) struct Gates;

impl Controller for Gates {
    fn name(&self) -> &'static str {
        "gates"
    }

    fn concerns(&self, news: &News) -> bool {
        [&CLUSTERSERVICEVERSIONS, &CLOUDCREDENTIALS, &CLUSTEROPERATORS, &SECRETS].iter().any(|r| news.of(r))
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        judge(cx, "operator-lifecycle-manager", |version| olm(cx, version));
        judge(cx, "cloud-credential", |version| credentials(cx, version));
        None
    }
}

/// Sets `Upgradeable` of an operator by what `verdict` says of the minor version it runs; an objection of the shape stays.
fn judge(cx: &Cx<'_>, operator: &str, verdict: impl Fn(u64) -> Option<Said>) {
    let scripted = cx.shared.shape.not_upgradeable.iter().any(|o| o.operator == operator);
    let Some(object) = cx.store.get(&CLUSTEROPERATORS, None, operator).filter(|_| !scripted) else { return };
    let version = object["status"]["versions"].as_array().into_iter().flatten().find(|v| v["name"] == "operator");
    let minor = parse(version.map_or("", |v| text(v, "/version"))).minor;
    let said = verdict(minor).unwrap_or_else(|| Said::new("True", "AsExpected", "All is well"));
    cx.modify(&CLUSTEROPERATORS, None, operator, |o| set_condition(o, "Upgradeable", &said, cx.now));
}

fn olm(cx: &Cx<'_>, minor: u64) -> Option<Said> {
    let blocking: Vec<String> = cx
        .store
        .list(&CLUSTERSERVICEVERSIONS)
        .iter()
        .filter_map(|csv| {
            let max = max_openshift(csv)?;
            let capped = max.split('.').nth(1).and_then(|m| m.parse::<u64>().ok()).is_none_or(|m| m <= minor);
            capped.then(|| {
                format!("{}/{} is incompatible with OpenShift minor versions greater than {max}", namespace(csv), name(csv))
            })
        })
        .collect();
    (!blocking.is_empty()).then(|| {
        let message = format!(
            "ClusterServiceVersions blocking minor version upgrades to 4.{} or higher:\n- {}",
            minor + 1,
            blocking.join("\n- ")
        );
        Said::new("False", "IncompatibleOperatorsInstalled", message)
    })
}

/// The `olm.maxOpenShiftVersion` of a ClusterServiceVersion.
fn max_openshift(csv: &Value) -> Option<String> {
    let properties: Value = serde_json::from_str(annotation(csv, "olm.properties")).ok()?;
    let max = properties.as_array()?.iter().find(|p| p["type"] == "olm.maxOpenShiftVersion")?;
    max["value"].as_str().map(str::to_owned)
}

fn credentials(cx: &Cx<'_>, minor: u64) -> Option<Said> {
    let object = cx.store.get(&CLOUDCREDENTIALS, None, "cluster")?;
    if text(&object, "/spec/credentialsMode") != "Manual" {
        return missing_root(cx);
    }
    let promised = annotation(&object, "cloudcredential.openshift.io/upgradeable-to").trim_start_matches('v');
    let version = promised.split('.').nth(1).and_then(|m| m.parse::<u64>().ok());
    version.is_none_or(|v| v <= minor).then(|| {
        let message = format!(
            "Upgradeable annotation cloudcredential.openshift.io/upgradeable-to on cloudcredential.operator.openshift.io/cluster object \
             needs updating before upgrade. See Manually Creating IAM documentation for instructions on preparing a cluster for upgrade \
             to 4.{}.",
            minor + 1
        );
        Said::new("False", "MissingUpgradeableAnnotation", message)
    })
}

/// The operator can't make or hand on credentials without the cloud's own.
fn missing_root(cx: &Cx<'_>) -> Option<Said> {
    let secret = cx.shared.shape.platform.root_secret()?;
    cx.store.get(&SECRETS, Some("kube-system"), secret).is_none().then(|| {
        let message = format!("Parent credential secret must be restored prior to upgrade: kube-system/{secret}");
        Said::new("False", "MissingRootCredential", message)
    })
}
