//! The signer that kubelets trust the API server by: it is replaced when a fifth of its year is left.

use chrono::{DateTime, TimeDelta, Utc};

use super::mirror::News;
use super::{Controller, Cx};
use crate::store::resources::{MACHINECONFIGPOOLS, SECRETS};
use crate::world::config::{SIGNER, SIGNER_LIFE_DAYS, signer_annotations};
use crate::world::json::{name, time};
use crate::world::pools::cert_expirys;

/// Days before its end at which a new signer is made: day 292 of 365.
const ROTATE_BEFORE_DAYS: i64 = 73;

/// Rotates the signer.
#[derive(Default)]
pub(super) struct Certificates {
    rotates_at: Option<DateTime<Utc>>,
}

impl Controller for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn concerns(&self, news: &News) -> bool {
        news.of(&SECRETS)
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let (ns, secret) = SIGNER;
        if self.rotates_at.is_some_and(|at| at <= cx.now) {
            let annotations = signer_annotations(cx.now + TimeDelta::days(SIGNER_LIFE_DAYS));
            cx.modify(&SECRETS, Some(ns), secret, |s| s["metadata"]["annotations"] = annotations);
            // Since 4.13 paused pools get the kubelets' CA bundle, too.
            for pool in cx.store.list(&MACHINECONFIGPOOLS) {
                cx.modify(&MACHINECONFIGPOOLS, None, name(&pool), |p| {
                    p["status"]["certExpirys"] = cert_expirys(cx.now, SIGNER_LIFE_DAYS);
                });
            }
        }
        let signer = cx.store.get(&SECRETS, Some(ns), secret)?;
        let end = time(&signer, "/metadata/annotations/auth.openshift.io~1certificate-not-after")?;
        // A signer whose time to be replaced has passed is one whose rotation is broken: it just ends.
        self.rotates_at = Some(end - TimeDelta::days(ROTATE_BEFORE_DAYS)).filter(|at| *at > cx.now);
        self.rotates_at
    }
}
