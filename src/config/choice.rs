//! Settings that take one of a few words.

hydra_conf::choice! {
    /// Where the negatives of contrastive divergence come from.
    pub enum ContrastiveType {
        /// Short chains that start at the batch (CD-k).
        Cd = "cd",
        /// A persistent buffer of particles, picked at random (PCD).
        Pcd = "pcd",
        /// Parallel persistent chains with random restarts (Fast PCD).
        FastPcd = "fast_pcd",
    }

    /// What thinking descends.
    pub enum EnergyFamily {
        /// The original's: the expected energy of the next token.
        Linear = "linear",
        /// The expected energy, corrected by what a network says of the prediction beside the hidden state.
        Mixture = "mixture",
        /// The free energy with a memory that reads the last characters again, together with the prediction.
        Reread = "reread",
        /// A scalar from a transformer that reads the prediction in its place (Energy-Based Transformers).
        Ebt = "ebt",
    }

    /// Which weights follow the text that is read.
    pub enum MovingWeights {
        /// All of them.
        All = "all",
        /// The energy head alone: no backward pass through the transformer.
        Head = "head",
    }

    /// How the energies of the positions are reduced to the one that refinement descends.
    pub enum RefineReduction {
        /// The original's: the step shrinks with batch times length.
        Mean = "mean",
        /// Every position descends its own energy.
        Sum = "sum",
    }

    /// Which token's energy contrastive divergence lowers at position t.
    pub enum ContrastiveEnergy {
        /// The original's: the token at t, which was just read.
        SameToken = "same_token",
        /// The token to be predicted, from the hidden states the loss already has.
        NextToken = "next_token",
    }

    /// The precision of a forward pass.
    pub enum Dtype {
        /// 32-bit floats.
        Float32 = "float32",
        /// bfloat16 where it is safe.
        Bfloat16 = "bfloat16",
    }

    /// What happens in a training step that holds NaN or infinity.
    pub enum OnNonfinite {
        /// The run ends with an error.
        Stop = "stop",
        /// The step changes nothing, and the next one comes.
        Skip = "skip",
        /// The run goes back to the last good checkpoint, and takes the text in another order.
        Rollback = "rollback",
    }

    /// How text is generated.
    pub enum Mode {
        /// System 2: refine the logits before each token.
        Think = "think",
        /// System 1: the transformer's logits as they are.
        Fast = "fast",
    }

    /// What happens to the window of a generation when it is full.
    pub enum FullWindow {
        /// The original's: it slides by one, so that every position moves and all of it is read again.
        Sliding = "sliding",
        /// The newest half stays, and is read once.
        Rolling = "rolling",
    }

    /// Which part of the text is evaluated.
    pub enum Split {
        /// The last tenth, which training never saw.
        Val = "val",
        /// The first nine tenths.
        Train = "train",
    }

    /// What `viz` draws.
    pub enum VizMode {
        /// Expected energy over the plane of the path's first two principal components.
        Landscape = "landscape",
        /// Energy per step over the positions of validation windows.
        Gap = "gap",
        /// Logits and probabilities of the likeliest tokens per step.
        Trajectories = "trajectories",
        /// The energy along the path, with the ball that rolls down.
        Bowl = "bowl",
        /// Energy and entropy by position and step.
        Positions = "positions",
        /// Curves of one or several runs.
        Training = "training",
        /// Energies of data, samples, chains and noise.
        Negatives = "negatives",
        /// Energy of a text while the weights follow it (not among `all`).
        Context = "context",
        /// One page that steps through a generation.
        Report = "report",
        /// Every one, and a page with all of them.
        All = "all",
    }

    /// Which files a picture is written to.
    pub enum PictureFormat {
        /// Pixels, at twice the density of the screen's.
        Png = "png",
        /// Lines, with text as outlines.
        Svg = "svg",
        /// Each picture twice.
        Both = "both",
    }
}
