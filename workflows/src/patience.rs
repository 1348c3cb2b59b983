//! How long steps may take, and how often a wait is begun anew.

use std::time::Duration;

use windlass_engine::RetryPolicy;

/// Operators settle within 20 minutes of a change; three times that is not settling.
pub(crate) const HEALTH_LIMIT: Duration = Duration::from_secs(3600);

/// A wait whose time is over is looked at again a few times before a person is asked.
pub(crate) const PATIENT: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(5), factor: 2.0, longest: Duration::from_secs(300), attempts: 4 };
