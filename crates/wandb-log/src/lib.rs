#![doc = include_str!("../README.md")]

// From the ground up, each module on those before it:
// - `error`, `row`: what is said and what is logged
// - `records`, `datastore`, `dir`: the `.wandb` file and its directory
// - `key`, `sources`, `settings`: what the user set
// - `api`, `remote`: the server, a request at a time; the run there
// - `past`: what an earlier part of the run left
// - `lines`, `sender`: from records to posts; the thread that posts
// - `system`: samples of the machine
// - `live`, `start`, `finish`: the run while it goes on, its beginning and its end
// - `run`: what users see of it
mod api;
mod datastore;
mod dir;
mod error;
mod finish;
mod key;
mod lines;
mod live;
mod past;
mod records;
mod remote;
mod row;
mod run;
mod sender;
mod settings;
mod sources;
mod start;
mod system;

pub use error::Error;
pub use row::Row;
pub use run::{Run, read_history};
pub use settings::{Mode, Resume, Settings};
