//! Why a file is not a usable checkpoint of nanoEBM, with the file that it is about.

use std::fmt;
use std::path::{Path, PathBuf};

use torch_pt::DType;

/// A fault of a checkpoint.
#[derive(Debug)]
pub struct CheckpointError {
    /// The file
    pub file: PathBuf,
    /// What is wrong with it
    pub fault: CheckpointFault,
}

/// What is wrong with a checkpoint. Each message goes on from the file's name, which [`CheckpointError`] puts before it.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFault {
    /// The file itself cannot be read or written.
    #[error(transparent)]
    Archive(Box<torch_pt::Error>),
    /// Not the dict that nanoEBM saves.
    #[error(
        "no usable {key:?} entry; a nanoEBM checkpoint is a dict with model, optimizer, step and config, and no state_dict alone"
    )]
    Entry {
        /// Where in the dict
        key: String,
    },
    /// Fast weights need to know how large gradients are.
    #[error(
        "the optimizer has taken no step, so that it knows no gradients; \
         context_steps needs a checkpoint of a training that has begun"
    )]
    NoStatistics,
    /// The energy head alone cannot follow a text where nothing is predicted by it.
    #[error(
        "context_weights=head moves the energy head, which model.energy=ebt does not use; context_weights=all moves what it does"
    )]
    NoHead,
    /// A configuration that this program does not understand.
    #[error("its configuration cannot be used: {reason} (was it edited, or written by a newer version?)")]
    Config {
        /// What is wrong
        reason: String,
    },
    /// A configuration of a larger model than the file has weights for.
    #[error(
        "its configuration is that of a model of {expected} parameters, but it holds {found}: the file is damaged, or made \
         to exhaust the memory"
    )]
    Parameters {
        /// What the model would need
        expected: String,
        /// Elements of the storages under `model`
        found: String,
    },
    /// A tensor that the model needs.
    #[error(
        "tensor {name} is missing: it is the file of another model, or a setting such as model.n_layer does not fit it"
    )]
    Missing {
        /// The tensor
        name: String,
    },
    /// Names that another module stands before.
    #[error(
        "the names of its tensors begin with {prefix:?}, as those of a model inside another module do; save the inner \
         module's state_dict()"
    )]
    Prefix {
        /// What stands before every name
        prefix: String,
    },
    /// Numbers that nothing can be computed with.
    #[error(
        "tensor {name} holds NaN or infinity: the training that wrote it had gone wrong; use an earlier checkpoint"
    )]
    NonFinite {
        /// The tensor
        name: String,
    },
    /// Squares cannot be negative.
    #[error("tensor {name} holds negative numbers, and its numbers are squares or counts: the file is damaged")]
    Negative {
        /// The tensor
        name: String,
    },
    /// Weights that are numbers, and so large that nothing can be computed with them.
    #[error(
        "its weights are numbers, but what they compute is NaN or infinity: the training that wrote it had gone wrong; \
         use an earlier checkpoint"
    )]
    Overflow,
    /// A vocabulary that is not the model's.
    #[error("its vocabulary has {characters} characters, and its model predicts {predicted}: the file is damaged")]
    OwnVocabulary {
        /// In the file
        characters: usize,
        /// Of the model
        predicted: usize,
    },
    /// A tensor that the model does not have.
    #[error(
        "tensor {name} belongs to no parameter of this model: it is the file of another one, or has lost its configuration"
    )]
    Unexpected {
        /// The tensor
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor {name} has shape {found:?}, but this model wants {expected:?}")]
    Shape {
        /// The tensor
        name: String,
        /// What the model has
        expected: Vec<i64>,
        /// What the file has
        found: Vec<i64>,
    },
    /// A tensor of integers where numbers with a fraction belong.
    #[error("tensor {name} holds {found:?}, but weights are float32, float64, float16 or bfloat16")]
    DType {
        /// The tensor
        name: String,
        /// What the file has
        found: DType,
    },
    /// `lm_head` and `wte` are one tensor in this model.
    #[error("transformer.lm_head.weight differs from wte, but the two are tied")]
    Untied,
    /// A resume under other shapes.
    #[error(
        "was trained with model.{key}={found}, but this run has {expected}; \
         repeat the overrides of that run (its overrides.yaml lists them) next to load_checkpoint=, or take over what fits \
         with train.allow_other_shape=true"
    )]
    OtherShape {
        /// The key
        key: &'static str,
        /// This run's value
        expected: String,
        /// The file's value
        found: String,
    },
}

impl CheckpointFault {
    /// The fault as an error about `file`.
    pub fn of(self, file: &Path) -> CheckpointError {
        CheckpointError { file: file.to_owned(), fault: self }
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, fault } = self;
        match fault {
            CheckpointFault::Archive(error) => error.fmt(f), // it names the file itself
            CheckpointFault::OtherShape { .. } => write!(f, "{} {fault}", file.display()),
            fault => write!(f, "{}: {fault}", file.display()),
        }
    }
}

impl std::error::Error for CheckpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

impl From<torch_pt::Error> for CheckpointError {
    fn from(error: torch_pt::Error) -> Self {
        Self { file: PathBuf::from(&error.file), fault: CheckpointFault::Archive(Box::new(error)) }
    }
}
