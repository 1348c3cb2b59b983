//! What `--faults` asks for: hazards by number, built-in scenarios and files, in any mixture.

use std::path::Path;

use super::{Hazard, KUBE_OVN, KUBE_OVN_UNSEEN, NETWORK, UNSEEN, all, numbered};
use crate::scenario::{Scenario, ScenarioError};
use crate::world::shape::ClusterShape;

/// Everything that is asked for at once.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    hazards: Vec<&'static Hazard>,
    built_in: Vec<Scenario>,
    files: Vec<Scenario>,
}

impl Faults {
    /// Reads `F1,F7,harsh` or the name of a file; every part may be any of them.
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let mut faults = Self::default();
        // A file whose name has a comma in it is meant as it stands.
        let parts = if Path::new(text).exists() { vec![text] } else { text.split(',').map(str::trim).collect() };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if let Some(number) = hazard_number(part) {
                faults.hazards.push(numbered(number).ok_or_else(|| not_shown(number))?);
            } else if let Some(scenario) = Scenario::named(part) {
                faults.built_in.push(scenario);
            } else {
                faults.files.push(Scenario::load(Path::new(part))?);
            }
        }
        Ok(faults)
    }

    /// Whether anything is to go wrong.
    pub fn is_empty(&self) -> bool {
        let quiet = |s: &Scenario| s.api.is_empty() && s.world.is_empty();
        self.hazards.is_empty() && self.built_in.iter().chain(&self.files).all(quiet)
    }

    /// Puts into a shape what is wrong from the start.
    pub fn apply(&self, shape: &mut ClusterShape) {
        for hazard in &self.hazards {
            (hazard.apply)(shape);
        }
    }

    /// What goes wrong later on a cluster of this shape, every node by its own name.
    ///
    /// A hazard or a file that names what the cluster does not have is refused; a built-in scenario leaves that out.
    pub fn scenario(&self, shape: &ClusterShape) -> Result<Scenario, ScenarioError> {
        let mut parts: Vec<Scenario> = self.built_in.iter().map(|scenario| scenario.clone().fitted(shape)).collect();
        let strict = self.hazards.iter().map(|hazard| (hazard.scenario)()).chain(self.files.iter().cloned());
        for scenario in strict {
            parts.push(scenario.resolved(shape)?);
        }
        let name = parts.iter().map(|part| part.name.as_str()).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(",");
        let mut whole = Scenario { name, ..Scenario::default() };
        for part in parts {
            whole.api.extend(part.api);
            whole.world.extend(part.world);
        }
        Ok(whole)
    }
}

/// The number of `F7` or `f7`.
fn hazard_number(text: &str) -> Option<u8> {
    text.strip_prefix(['F', 'f'])?.parse().ok()
}

fn not_shown(number: u8) -> ScenarioError {
    let why = match UNSEEN.iter().chain(&KUBE_OVN_UNSEEN).find(|(known, _)| *known == number) {
        Some((_, reason)) => (*reason).to_owned(),
        None => format!(
            "there are {}",
            all().chain(NETWORK).chain(KUBE_OVN).map(|hazard| format!("F{}", hazard.number)).collect::<Vec<_>>().join(", ")
        ),
    };
    ScenarioError::Hazard { number, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(&str, usize), &str>) {
        let shape = ClusterShape::default();
        let seen = Faults::read(text).and_then(|faults| faults.scenario(&shape));
        match (seen, expect) {
            (Ok(scenario), Ok((name, faults))) => assert_eq!((scenario.name.as_str(), scenario.world.len()), (name, faults)),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (seen, expect) => assert_eq!(seen.is_ok(), expect.is_ok(), "{text}: {seen:?}"),
        }
    }

    #[test]
    fn hazards_scenarios_and_files_mix() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("faults.yaml");
        std::fs::write(&path, "name: mine\nworld:\n- {kind: node-silent, node: worker/7}\n").expect("a writable file");
        let file = path.to_str().expect("a plain path");
        check("calm", Ok(("calm", 0)));
        check("F1, f7", Ok(("F1,F7", 2)));
        check("F7,harsh", Ok(("harsh,F7", 9)));
        check("F17", Err("every step stands in the journal"));
        check("F99", Err("there are F1, F2, "));
        check("F1,no-such-file", Err("calm, harsh, clock-jump; or a hazard: F1 to F61"));
        check(&format!("F1,{file}"), Err("node worker/7"));
    }
}
