use std::time::Duration;

/// What can go wrong between processes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A variable that `torchrun` sets is missing, or wrong.
    #[error("the environment variable {name} {problem}; torchrun sets it, so start the program with torchrun")]
    Variable {
        /// Its name
        name: &'static str,
        /// What is wrong with it
        problem: String,
    },
    /// The place where the processes meet cannot be reached, or does not answer.
    #[error("rank {rank} cannot meet the others at {address}: {reason}")]
    Meeting {
        /// This process
        rank: usize,
        /// `host:port`
        address: String,
        /// What libtorch says
        reason: String,
    },
    /// Something that was asked of another process did not come.
    #[error("rank {rank} got no {what} from rank {from}: {reason}")]
    Missing {
        /// This process
        rank: usize,
        /// What it asked for
        what: String,
        /// Whom
        from: usize,
        /// What libtorch says
        reason: String,
    },
    /// The processes met, but cannot be joined to a group.
    #[error("rank {rank} cannot join the group: {reason}")]
    Join {
        /// This process
        rank: usize,
        /// What libtorch says
        reason: String,
    },
    /// What all processes do together failed: one is gone, or does not answer.
    #[error("rank {rank}: {what} failed: {reason}")]
    Collective {
        /// This process
        rank: usize,
        /// What was done
        what: &'static str,
        /// What libtorch says
        reason: String,
    },
    /// A GPU is wanted, and this program has no NCCL.
    #[error("NCCL is not available: {0}")]
    NoNccl(String),
}

/// What is said where nothing was answered in time.
pub(crate) fn silence(timeout: Duration) -> String {
    format!("no answer within {} s", timeout.as_secs_f64())
}
