//! A shop that can be set up in many ways. Try these:
//!
//! ```sh
//! cargo run --example shop -- --help
//! cargo run --example shop -- preset=christmas --cfg
//! cargo run --example shop -- db=server patience=2 name='the shop on ${db.host}'
//! cargo run --example shop -- -m db=memory,server tax=0.07,0.19
//! cargo run --example shop -- db.prot=1
//! ```

use std::process::ExitCode;

use hydra_conf::{Action, Interval, Package, Program, Root};

hydra_conf::choice! {
    /// Where orders are kept.
    pub enum Storage {
        /// They are gone with the program.
        Memory = "memory",
        /// A database keeps them.
        Server = "server",
    }
}

hydra_conf::section! {
    /// The database.
    pub struct Db {
        /// where orders are kept: memory or server
        kind: Storage = "memory";
        /// name of the machine
        host: String = "localhost";
        /// port it listens on
        port: u16 = 5432, in 1..;
    }
}

hydra_conf::section! {
    /// The settings of the shop.
    pub struct Shop {
        /// the database
        #[section]
        db: Db;
        /// what the shop is called
        name: String = "shop at ${db.host}";
        /// share of the price that is tax
        tax: f64 = 0.19, in 0.0..1.0;
        /// most seconds that an order may take; null waits forever
        patience: Option<f64>, in Interval::POSITIVE;
    }
}

impl Root for Shop {
    const FILE: &'static str = "shop";
    const PACKAGE: Package = Package {
        version: env!("CARGO_PKG_VERSION"),
        files: hydra_conf::embed!("examples/conf": "shop", "db/memory", "db/server", "preset/christmas"),
    };
}

const PROGRAM: Program = Program { name: "shop", about: "Sell things", flags: &[("quiet", "Print errors only")] };

fn main() -> ExitCode {
    match hydra_conf::parse::<Shop>(&PROGRAM, std::env::args_os().skip(1)) {
        Ok(Action::Print(text)) => print!("{text}"),
        Ok(Action::Run { jobs, flags, .. }) => {
            for job in jobs.iter().filter(|_| !flags.has("quiet")) {
                println!("[{}] {:?}", job.overrides.join(" "), job.config);
            }
        }
        Err(error) => {
            eprintln!("shop: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
