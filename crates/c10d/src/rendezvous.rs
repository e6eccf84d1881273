use std::net::UdpSocket;
use std::str::FromStr;

use crate::error::Error;

/// How `torchrun` started this process: which one it is, and where all of them meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// This process among all, from 0 (`RANK`)
    pub rank: usize,
    /// How many there are (`WORLD_SIZE`)
    pub size: usize,
    /// This process among those of its host, from 0 (`LOCAL_RANK`); the index of its GPU
    pub local_rank: usize,
    /// How many its host has (`LOCAL_WORLD_SIZE`)
    pub local_size: usize,
    /// Where they meet (`MASTER_ADDR`)
    pub host: String,
    /// Its port (`MASTER_PORT`)
    pub port: u16,
    /// Whether this process holds the meeting; otherwise `torchrun`, or rank 0, does
    pub serves: bool,
    /// What all processes of a job share, whatever is restarted (`TORCHELASTIC_RUN_ID`)
    pub job: String,
    /// How often `torchrun` has restarted the job (`TORCHELASTIC_RESTART_COUNT`)
    pub restarts: u32,
}

impl Rendezvous {
    /// Reads what `torchrun` says; `None` in a process that it did not start.
    ///
    /// # Errors
    /// If a variable is missing or wrong.
    pub fn from_env() -> Result<Option<Self>, Error> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        if variable("WORLD_SIZE").is_none() {
            return Ok(None);
        }
        let number = |name| number(name, variable(name));
        let optional = |name, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
        let (rank, size): (usize, usize) = (number("RANK")? as usize, number("WORLD_SIZE")? as usize);
        if rank >= size {
            return Err(Error::Variable { name: "RANK", problem: format!("is {rank}, and WORLD_SIZE is {size}") });
        }
        let host = variable("MASTER_ADDR").ok_or_else(|| missing("MASTER_ADDR"))?;
        let port = number("MASTER_PORT")?;
        let port = u16::try_from(port)
            .map_err(|_| Error::Variable { name: "MASTER_PORT", problem: format!("is {port}, which is no port") })?;
        let agent_serves = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True");
        Ok(Some(Self {
            rank,
            size,
            local_rank: parsed("LOCAL_RANK", &optional("LOCAL_RANK", "0"))?,
            local_size: parsed("LOCAL_WORLD_SIZE", &optional("LOCAL_WORLD_SIZE", "1"))?,
            host,
            port,
            serves: rank == 0 && !agent_serves,
            job: optional("TORCHELASTIC_RUN_ID", "none"),
            restarts: parsed("TORCHELASTIC_RESTART_COUNT", &optional("TORCHELASTIC_RESTART_COUNT", "0"))?,
        }))
    }

    /// `host:port` of the meeting.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The address that this machine has on its way to the meeting. c10d's own choice is that of the machine's name: often
    /// 127.0.0.1, where no other machine finds it. `GLOO_SOCKET_IFNAME` names a network card instead.
    pub(crate) fn local_address(&self) -> Option<String> {
        if std::env::var_os("GLOO_SOCKET_IFNAME").is_some() {
            return None;
        }
        // Connecting a datagram socket sends nothing; it only looks up the way.
        let way = |any: &str| {
            let socket = UdpSocket::bind(any).ok()?;
            socket.connect((self.host.as_str(), self.port)).ok()?;
            Some(socket.local_addr().ok()?.ip().to_string())
        };
        ["0.0.0.0:0", "[::]:0"].into_iter().find_map(way)
    }
}

fn missing(name: &'static str) -> Error {
    Error::Variable { name, problem: "is not set".to_owned() }
}

fn number(name: &'static str, value: Option<String>) -> Result<u32, Error> {
    parsed(name, &value.ok_or_else(|| missing(name))?)
}

fn parsed<T: FromStr>(name: &'static str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Variable { name, problem: format!("is {value:?}, which is no number") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Rendezvous>, Error> {
        let found = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Rendezvous::read(found)
    }

    const TWO: [(&str, &str); 4] =
        [("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "10.0.0.1"), ("MASTER_PORT", "29500")];

    #[test]
    fn a_process_that_nobody_started_is_alone() {
        assert_eq!(read(&[("RANK", "0")]), Ok(None));
    }

    #[test]
    fn torchruns_variables_are_read() {
        let second = read(&TWO).unwrap().unwrap();
        assert_eq!((second.rank, second.size, second.local_rank, second.serves), (1, 2, 0, false));
        assert_eq!(second.address(), "10.0.0.1:29500");
        let first = |more: &[(&str, &str)]| read(&[more, &[("RANK", "0")], &TWO[1..]].concat()).unwrap().unwrap();
        assert!(first(&[]).serves);
        assert!(!first(&[("TORCHELASTIC_USE_AGENT_STORE", "True")]).serves);
        let again = first(&[("TORCHELASTIC_RESTART_COUNT", "3"), ("TORCHELASTIC_RUN_ID", "a")]);
        assert_eq!((again.restarts, again.job.as_str()), (3, "a"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |variables: &[(&str, &str)]| read(variables).unwrap_err().to_string();
        assert!(said(&TWO[..3]).contains("MASTER_PORT is not set"));
        assert!(said(&[&[("MASTER_PORT", "70000")], &TWO[..3]].concat()).contains("MASTER_PORT is 70000"));
        assert!(said(&[&[("RANK", "2")], &TWO[1..]].concat()).contains("RANK is 2, and WORLD_SIZE is 2"));
        assert!(said(&[&[("RANK", "x")], &TWO[1..]].concat()).contains("RANK is \"x\""));
    }
}
