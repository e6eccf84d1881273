//! Logs a curve. `cargo run --example log` keeps it on the disk; with WANDB_MODE=online it is sent while it is drawn.

use std::time::Duration;

use wandb_log::{Error, Mode, Run, Settings};

fn main() -> Result<(), Error> {
    let mut settings = Settings::from_env()?;
    settings.project = "wandb-log-example".to_owned();
    settings.config = serde_json::json!({"lr": 0.05, "start": 3.0});
    if std::env::var_os("WANDB_MODE").is_none() {
        settings.mode = Mode::Offline;
    }

    // Gradient descent on x², with a word about the run whenever there is one.
    let mut run = Run::init(settings)?;
    let mut x = 3.0;
    for step in 0..100 {
        run.log(step, [("x", x), ("loss", x * x)]);
        x -= 0.05 * 2.0 * x;
        run.messages().iter().for_each(|message| println!("{message}"));
        std::thread::sleep(Duration::from_millis(20));
    }
    run.finish(0).iter().for_each(|message| println!("{message}"));
    Ok(())
}
