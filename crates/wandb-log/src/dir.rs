//! The directory of a run under `wandb/`, in the official client's layout, so that its `wandb sync` takes it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use chrono::{Duration, Local};

use crate::datastore::Writer;
use crate::records::{Header, Kind, RunRecord, VersionInfo};
use crate::settings::Settings;

/// `run-TIME-ID` of a run that is sent, `offline-run-TIME-ID` of one that is not.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    id: String,
}

impl RunDir {
    /// Makes the directory, and the file with the records that come first; points `latest-run` at it.
    pub fn create(settings: &Settings, run: &RunRecord, offline: bool) -> io::Result<(Self, Writer)> {
        fs::create_dir_all(&settings.dir)?;
        let wandb = std::path::absolute(&settings.dir)?;
        let id = &run.run_id;
        let mut time = Local::now();
        let path = loop {
            let prefix = if offline { "offline-" } else { "" };
            let path = wandb.join(format!("{prefix}run-{}-{id}", time.format("%Y%m%d_%H%M%S")));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // an earlier part of the run began in the same second
                Err(e) if e.kind() == ErrorKind::AlreadyExists => time += Duration::seconds(1),
                Err(e) => return Err(e),
            }
        };
        // sync puts config.yaml and others here, and uploads no files where it is missing
        fs::create_dir(path.join("files"))?;
        let dir = Self { path, id: id.clone() };
        dir.link_latest();
        let mut store = Writer::create(&dir.store())?;
        let producer = settings.client.replacen('/', " ", 1);
        store.append(Kind::Header(Header { version_info: Some(VersionInfo { producer }) }))?;
        store.append(Kind::Run(Box::new(run.clone())))?;
        if run.resume {
            // The server has an earlier part, whose steps count on into this one; sync would number them anew.
            let state = dir.store().with_extension("wandb.syncstate");
            fs::write(state, r#"{"starting_step":0,"starting_runtime":0}"#)?;
        }
        Ok((dir, store))
    }

    /// The records.
    pub fn store(&self) -> PathBuf {
        self.path.join(format!("run-{}.wandb", self.id))
    }

    /// The row of a step that is not over.
    pub fn pending(&self) -> PathBuf {
        self.path.join("pending.json")
    }

    /// Renames a `run-` directory of which the server has nothing, so that `wandb sync` takes it as it is.
    pub fn make_offline(&mut self) -> io::Result<()> {
        let offline = self.offline_path();
        if offline != self.path {
            fs::rename(&self.path, &offline)?;
            self.path = offline;
            self.link_latest();
        }
        Ok(())
    }

    /// What `make_offline` makes of it.
    fn offline_path(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("offline-") {
            self.path.clone()
        } else {
            self.path.with_file_name(format!("offline-{name}"))
        }
    }

    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// The command that sends the run, once it is offline.
    pub fn sync_command(&self) -> String {
        let path = self.offline_path().display().to_string();
        let plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+=:@".contains(c));
        if plain { format!("wandb sync {path}") } else { format!("wandb sync '{}'", path.replace('\'', r"'\''")) }
    }

    /// `latest-run` is a convenience: a file system without links has none.
    fn link_latest(&self) {
        #[cfg(unix)]
        if let (Some(wandb), Some(name)) = (self.path.parent(), self.path.file_name()) {
            let new = wandb.join(format!(".latest-run.{}", std::process::id()));
            if std::os::unix::fs::symlink(name, &new).is_ok() && fs::rename(&new, wandb.join("latest-run")).is_err() {
                let _ = fs::remove_file(&new);
            }
        }
    }
}

/// Whether `wandb sync` has sent a file.
pub fn is_synced(store: &Path) -> bool {
    store.with_extension("wandb.synced").exists()
}

/// Keeps `wandb sync` from sending a file.
pub fn mark_synced(store: &Path) -> io::Result<()> {
    fs::write(store.with_extension("wandb.synced"), "")
}
