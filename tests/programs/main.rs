//! The programs as users meet them: command lines go in; text, files and exit codes come out.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod faults;
#[path = "../common/golden.rs"]
#[allow(dead_code)] // each suite has use for a part of it
mod golden;
#[path = "../common/python.rs"]
mod python;
mod random;
mod workdir;

mod addition;
mod bad_files;
mod bad_settings;
mod compare;
mod disk;
mod doctor;
mod eval;
mod examples;
mod families;
mod folders;
mod interchange;
mod kill;
mod long;
mod nonfinite;
mod other_machines;
mod overrides;
mod processes;
mod processes_end;
mod provenance;
mod readme;
mod repeat;
mod resume;
mod resume_refused;
mod sample;
mod sample_io;
mod signals;
mod train;
mod two_trainers;
mod viz;
mod write_faults;
