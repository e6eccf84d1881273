//! What goes wrong between processes, and whose fault it is.

/// What can go wrong between processes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessesError {
    /// They cannot meet, or do not answer each other.
    #[error(transparent)]
    Between(#[from] c10d::Error),
    /// One of them ended with an error of its own.
    #[error("rank {rank} ended: {message}")]
    Ended {
        /// Which
        rank: String,
        /// What it said
        message: String,
    },
    /// Some of them are gone.
    #[error("{ranks} is gone, or does not answer ({reason})")]
    Gone {
        /// Which, and where they ran
        ranks: String,
        /// What libtorch says
        reason: String,
    },
    /// This process is.
    #[error(
        "neither the other processes nor the meeting at {address} answer: rank 0 is gone, or the network is down ({reason})"
    )]
    CutOff {
        /// Where they met
        address: String,
        /// What libtorch says
        reason: String,
    },
    /// They were not started alike.
    #[error("rank {rank} on {host} has {theirs} for {what}, and rank 0 has {ours}: start all processes alike")]
    Unlike {
        /// Which
        rank: usize,
        /// Where it runs
        host: String,
        /// What differs
        what: String,
        /// Its own
        theirs: String,
        /// That of rank 0
        ours: String,
    },
}

impl ProcessesError {
    /// Whether it is this process's own, of which the others do not know.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Between(c10d::Error::NoNccl(_)))
    }
}
