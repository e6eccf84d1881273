//! Real processes meet, compute together, and lose one another. This program starts itself; `child` is what they do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, too")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use c10d::{Error, Group, Rendezvous, Store};
use tch::{Device, Kind, Tensor};

const CASE: &str = "C10D_TEST_CASE";
const TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a process.
struct Ended {
    code: Option<i32>,
    said: String,
}

/// A port that nobody uses.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(case: &str, rank: usize, size: usize, port: u16) -> Child {
    let variables = [("RANK", rank), ("WORLD_SIZE", size), ("MASTER_PORT", port.into()), ("OMP_NUM_THREADS", 1)];
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .envs(variables.map(|(name, value)| (name, value.to_string())))
        .env("MASTER_ADDR", "127.0.0.1")
        .env(CASE, case)
        .env_remove("TORCHELASTIC_USE_AGENT_STORE")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended { code: output.status.code(), said: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// `size` processes with this case, to their ends.
fn run(case: &str, size: usize) -> Vec<Ended> {
    let port = free_port();
    let children: Vec<Child> = (0..size).map(|rank| start(case, rank, size, port)).collect();
    children.into_iter().map(end).collect()
}

fn all_succeed(case: &str, size: usize) {
    for (rank, ended) in run(case, size).iter().enumerate() {
        assert_eq!(ended.code, Some(0), "{case}, rank {rank} of {size}: {}", ended.said);
    }
}

fn join() -> Result<(Store, Group), Error> {
    let rendezvous = Rendezvous::from_env()?.expect("WORLD_SIZE is set");
    let store = Store::open(&rendezvous, TIMEOUT)?;
    store.answer_roll_calls();
    let group = Group::join(&store, TIMEOUT, false)?;
    Ok((store, group))
}

/// Not a test of its own: what the processes do.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    let done = match case.as_str() {
        "computes" => computes(),
        "shares" => shares(),
        "stalls" => stalls(),
        "dies" => dies(),
        "calls the roll" => calls_the_roll(),
        "comes alone" => join().map(drop),
        other => panic!("no case {other}"),
    };
    if let Err(error) = done {
        eprintln!("error: {error}");
        std::process::exit(3);
    }
}

fn computes() -> Result<(), Error> {
    let (_store, group) = join()?;
    let (rank, size) = (group.rank() as f64, group.size() as f64);
    let all = (Kind::Float, Device::Cpu);
    let tensor = Tensor::arange(5, all) + rank;
    group.average(&tensor)?;
    assert_eq!(tensor, Tensor::arange(5, all) + (size - 1.0) / 2.0);
    let ones = Tensor::ones([2, 3], (Kind::Double, Device::Cpu));
    group.sum(&ones)?;
    assert_eq!(ones, Tensor::full([2, 3], size, (Kind::Double, Device::Cpu)));
    let mut numbers = [group.rank() as i64, -(group.rank() as i64)];
    group.max(&mut numbers)?;
    assert_eq!(numbers, [group.size() as i64 - 1, 0]);
    let copied = Tensor::full([4], rank, all);
    group.broadcast(&copied, group.size() - 1)?;
    assert_eq!(copied, Tensor::full([4], size - 1.0, all));
    let mut bytes = if group.is_first() { b"from the first".to_vec() } else { Vec::new() };
    group.broadcast_bytes(&mut bytes, 0)?;
    assert_eq!(bytes, b"from the first");
    group.barrier()
}

fn shares() -> Result<(), Error> {
    let rendezvous = Rendezvous::from_env()?.expect("WORLD_SIZE is set");
    let store = Store::open(&rendezvous, TIMEOUT)?;
    let mine = "x".repeat(rendezvous.rank);
    let all = store.share("lengths", mine.as_bytes())?;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), (0..rendezvous.size).collect::<Vec<_>>());
    Group::join(&store, TIMEOUT, false)?.barrier() // rank 0 holds the meeting, and stays to the last
}

/// Rank 1 leaves; the others find out who it was, though one of them is busy.
fn calls_the_roll() -> Result<(), Error> {
    let (store, group) = join()?;
    if group.rank() == 1 {
        std::process::abort();
    }
    if group.rank() == 2 {
        std::thread::sleep(Duration::from_secs(4));
        return Ok(());
    }
    assert_eq!(store.absent(Duration::from_secs(2)), [1]);
    assert!(!store.has("nothing", TIMEOUT)?);
    Ok(())
}

fn stalls() -> Result<(), Error> {
    let (_store, group) = join()?;
    if group.rank() == 1 {
        std::thread::sleep(3 * TIMEOUT);
        return Ok(());
    }
    group.barrier()
}

fn dies() -> Result<(), Error> {
    let (_store, group) = join()?;
    if group.rank() == 1 {
        std::process::abort();
    }
    let tensor = Tensor::ones([1000], (Kind::Float, Device::Cpu));
    group.sum(&tensor)
}

#[test]
fn they_compute_together() {
    for size in [2, 3] {
        all_succeed("computes", size);
    }
}

#[test]
fn they_share_bytes_of_any_length() {
    all_succeed("shares", 3);
}

#[test]
fn one_that_does_not_answer_is_an_error_of_the_others() {
    let began = Instant::now();
    let first = run("stalls", 2).remove(0);
    assert_eq!(first.code, Some(3), "{}", first.said);
    assert!(first.said.contains("error: rank 0: waiting for all failed: "), "{}", first.said);
    assert!(began.elapsed() < 4 * TIMEOUT);
}

#[test]
fn one_that_dies_is_an_error_of_the_others_at_once() {
    let port = free_port();
    let began = Instant::now();
    let [first, _second] = [0, 1].map(|rank| start("dies", rank, 2, port));
    let first = end(first);
    assert_eq!(first.code, Some(3), "{}", first.said);
    assert!(first.said.contains("error: rank 0: the sum of tensors failed: "), "{}", first.said);
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
}

#[test]
fn who_is_gone_is_found_out() {
    let ended = run("calls the roll", 3);
    for rank in [0, 2] {
        assert_eq!(ended[rank].code, Some(0), "{}", ended[rank].said);
    }
}

#[test]
fn one_that_never_comes_is_an_error() {
    let ended = end(start("comes alone", 0, 2, free_port()));
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(ended.said.contains("rank 1 did not come within 5 s"), "{}", ended.said);
}

#[test]
fn a_meeting_that_nobody_holds_is_an_error() {
    let ended = end(start("comes alone", 1, 2, free_port()));
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(ended.said.contains("error: rank 1 cannot meet the others at 127.0.0.1:"), "{}", ended.said);
}

#[test]
fn a_port_that_is_open_and_silent_is_an_error() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let ended = end(start("comes alone", 1, 2, silent.local_addr().unwrap().port()));
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(ended.said.contains("error: rank 1 cannot meet the others at 127.0.0.1:"), "{}", ended.said);
    assert!(began.elapsed() < TIMEOUT + Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_group_of_one_changes_nothing() {
    let group = Group::alone();
    let tensor = Tensor::from_slice(&[1.0, 2.0]);
    group.average(&tensor).unwrap();
    group.broadcast(&tensor, 0).unwrap();
    group.barrier().unwrap();
    assert_eq!(tensor, Tensor::from_slice(&[1.0, 2.0]));
    assert!(group.is_first());
}
