//! Tables, as kubectl shows them, and bare metadata.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::accept::{Accept, RowObject};
use crate::store::{Cell, Column, Resource};

/// Renders one object as the client wants it.
pub(super) fn render_one(r: &Resource, accept: Accept, object: &Arc<Value>, now: DateTime<Utc>) -> Arc<Value> {
    match accept {
        Accept::Object => object.clone(),
        Accept::Metadata => Arc::new(metadata_only(object)),
        Accept::Table(rows) => {
            let version = &object["metadata"]["resourceVersion"];
            Arc::new(table(r, rows, std::slice::from_ref(object), &json!({ "resourceVersion": version }), now))
        }
    }
}

/// A table of objects.
pub(super) fn table(r: &Resource, rows: RowObject, objects: &[Arc<Value>], list_meta: &Value, now: DateTime<Utc>) -> Value {
    let columns: Vec<Value> = r.columns.iter().map(definition).collect();
    let rows: Vec<Value> = objects.iter().map(|o| row(r, rows, o, now)).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_meta,
        "columnDefinitions": columns, "rows": rows,
    })
}

/// The object's metadata alone.
pub(super) fn metadata_only(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    // Dates are already rendered as ages, so that every client sees virtual time.
    let kind = if column.kind == "date" { "string" } else { column.kind };
    json!({ "name": column.name, "type": kind, "format": format, "description": "", "priority": column.priority })
}

fn row(r: &Resource, rows: RowObject, object: &Arc<Value>, now: DateTime<Utc>) -> Value {
    let cells: Vec<Value> = r.columns.iter().map(|c| cell(c, object, now)).collect();
    match rows {
        RowObject::None => json!({ "cells": cells }),
        RowObject::Metadata => json!({ "cells": cells, "object": metadata_only(object) }),
        RowObject::Whole => json!({ "cells": cells, "object": object }),
    }
}

fn cell(column: &Column, object: &Value, now: DateTime<Utc>) -> Value {
    let value = match column.cell {
        Cell::At(pointer) => object.pointer(pointer).cloned().unwrap_or(Value::Null),
        Cell::Condition(kind, field) => condition_field(object, kind, field),
        Cell::Computed(compute) => compute(object),
    };
    if column.kind == "date" { age(&value, now) } else { value }
}

fn condition_field(object: &Value, kind: &str, field: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|c| c["type"] == kind).map_or(Value::Null, |c| c[field].clone())
}

fn age(value: &Value, now: DateTime<Utc>) -> Value {
    let since = value.as_str().and_then(|s| DateTime::parse_from_rfc3339(s).ok());
    since.map_or_else(|| json!("<unknown>"), |since| json!(human_duration(now - since.to_utc())))
}

/// A duration in at most two units, fewer the longer it is: `45s`, `5m3s`, `47h`, `3d4h`, `2y10d`.
fn human_duration(d: TimeDelta) -> String {
    let (seconds, minutes, hours) = (d.num_seconds(), d.num_minutes(), d.num_hours());
    let two = |big: i64, unit: char, small: i64, small_unit: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match hours {
        _ if seconds < -1 => "<invalid>".to_owned(),
        _ if seconds < 120 => format!("{}s", seconds.max(0)),
        _ if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        ..8 => two(hours, 'h', minutes % 60, 'm'),
        8..48 => format!("{hours}h"),
        48..192 => two(hours / 24, 'd', hours % 24, 'h'),
        192..17_520 => format!("{}d", hours / 24),
        17_520..70_080 => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        70_080.. => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::resources;

    #[test]
    fn durations_are_written_as_kubectl_writes_them() {
        let check = |seconds: i64, expect: &str| assert_eq!(human_duration(TimeDelta::seconds(seconds)), expect);
        check(-5, "<invalid>");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(303, "5m3s");
        check(3600, "60m");
        check(3 * 3600 + 300, "3h5m");
        check(47 * 3600, "47h");
        check(76 * 3600, "3d4h");
        check(20 * 86_400, "20d");
        check(740 * 86_400, "2y10d");
        check(4000 * 86_400, "10y");
    }

    fn check(r: &Resource, object: Value, expect: &str) {
        let now = DateTime::parse_from_rfc3339("2025-01-02T00:00:00Z").expect("a time").to_utc();
        let mut object = object;
        object["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        let table = table(r, RowObject::None, &[Arc::new(object)], &json!({}), now);
        let cells = table["rows"][0]["cells"].as_array().expect("cells").iter();
        let columns = table["columnDefinitions"].as_array().expect("columns").iter();
        let shown: Vec<String> = columns
            .zip(cells)
            .filter(|(column, _)| column["priority"] == 0)
            .map(|(column, cell)| {
                format!(
                    "{}={}",
                    column["name"].as_str().unwrap_or_default(),
                    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
                )
            })
            .collect();
        assert_eq!(shown.join(" "), expect);
    }

    #[test]
    fn tables_have_the_columns_that_people_know() {
        check(
            &resources::MACHINECONFIGPOOLS,
            json!({ "metadata": { "name": "worker" }, "status": {
                "configuration": { "name": "rendered-worker-1" }, "machineCount": 3, "readyMachineCount": 2, "updatedMachineCount": 2,
                "degradedMachineCount": 0, "conditions": [
                    { "type": "Updated", "status": "False" }, { "type": "Updating", "status": "True" }, { "type": "Degraded", "status": "False" }] } }),
            "Name=worker Config=rendered-worker-1 Updated=False Updating=True Degraded=False MachineCount=3 ReadyMachineCount=2 \
             UpdatedMachineCount=2 DegradedMachineCount=0 Age=24h",
        );
        check(
            &resources::CLUSTEROPERATORS,
            json!({ "metadata": { "name": "network" }, "status": { "versions": [{ "name": "operator", "version": "4.16.3" }], "conditions": [
                { "type": "Available", "status": "True", "lastTransitionTime": "2025-01-01T23:59:00Z" },
                { "type": "Progressing", "status": "True", "message": "rolling out" }, { "type": "Degraded", "status": "False" }] } }),
            "Name=network Version=4.16.3 Available=True Progressing=True Degraded=False Since=60s Message=rolling out",
        );
        check(
            &resources::CLUSTERVERSIONS,
            json!({ "metadata": { "name": "version" }, "status": {
                "history": [{ "state": "Partial", "version": "4.17.0" }, { "state": "Completed", "version": "4.16.3" }],
                "conditions": [{ "type": "Available", "status": "True" },
                    { "type": "Progressing", "status": "True", "lastTransitionTime": "2025-01-01T23:00:00Z", "message": "Working towards 4.17.0" }] } }),
            "Name=version Version=4.16.3 Available=True Progressing=True Since=60m Status=Working towards 4.17.0",
        );
        check(
            &resources::NODES,
            json!({ "metadata": { "name": "n", "labels": { "node-role.kubernetes.io/worker": "" } }, "spec": { "unschedulable": true },
                "status": { "nodeInfo": { "kubeletVersion": "v1.29.5" }, "conditions": [{ "type": "Ready", "status": "True" }] } }),
            "Name=n Status=Ready,SchedulingDisabled Roles=worker Age=24h Version=v1.29.5",
        );
        check(
            &resources::PODS,
            json!({ "metadata": { "name": "p" }, "spec": { "containers": [{}, {}] }, "status": {
                "phase": "Running", "containerStatuses": [{ "ready": true, "restartCount": 2 }, { "ready": false }] } }),
            "Name=p Ready=1/2 Status=Running Restarts=2 Age=24h",
        );
        check(
            &resources::PDBS,
            json!({ "metadata": { "name": "b" }, "spec": { "minAvailable": "50%" }, "status": { "disruptionsAllowed": 1 } }),
            "Name=b Min Available=50% Max Unavailable=N/A Allowed Disruptions=1 Age=24h",
        );
    }
}
