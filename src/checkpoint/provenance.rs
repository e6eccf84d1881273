//! What made a checkpoint: program, libtorch, text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What made a checkpoint; files of before a part was recorded lack it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of nanoebm
    pub version: String,
    /// Its git commit, where it was built in a checkout; `-dirty` where the sources were not those of the commit
    pub commit: Option<String>,
    /// Version of libtorch, as in `2.11.0+cpu`
    #[serde(default)]
    pub libtorch: Option<String>,
    /// SHA-256 of the training text's bytes, in hexadecimal
    #[serde(default)]
    pub data_sha256: Option<String>,
}

impl Provenance {
    /// Of what this program makes of a text.
    pub fn here(data_sha256: &str) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("NANOEBM_GIT_COMMIT").map(str::to_owned),
            libtorch: Some(env!("NANOEBM_LIBTORCH_VERSION").to_owned()),
            data_sha256: Some(data_sha256.to_owned()),
        }
    }
}

/// `nanoebm 0.1.0 (commit 314a722ca7b1), libtorch 2.11.0, text 86c4e6aa9db7…`
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |part: &Option<String>| part.clone().unwrap_or_else(|| "unknown".to_owned());
        let (commit, libtorch) = (or_unknown(&self.commit), or_unknown(&self.libtorch));
        write!(f, "nanoebm {} (commit {commit}), libtorch {libtorch}", self.version)?;
        self.data_sha256.as_ref().map_or(Ok(()), |sha256| write!(f, ", text {}", short(sha256)))
    }
}

/// Enough of a digest to tell two texts apart.
pub fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect::<String>() + "…"
}
