//! The words of jobs, in the database and in the API.

use crate::domain::words::words;

words! {
    /// What hosts are to do, as it is spelled on the wire.
    #[schema(as = JobKind)]
    Kind {
        /// Stop an agent and start it again.
        Restart "restart",
        /// Beat now.
        Report "report",
    }
}

words! {
    /// How a job stands.
    #[schema(as = JobState)]
    State {
        Running "running",
        /// Every host has answered.
        Done "done",
        /// Somebody ended it.
        Stopped "stopped",
        /// Its time ran out before every host had answered.
        Expired "expired",
    }
}

words! {
    /// How a host of a job stands.
    #[schema(as = JobHostState)]
    HostState {
        /// Not told yet.
        Pending "pending",
        /// Told, and not answered yet.
        Sent "sent",
        Done "done",
        Failed "failed",
        /// Not answered before the job was over.
        Expired "expired",
    }
}
