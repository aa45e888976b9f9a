//! Standbys and upgrades.

use std::io;

use super::{Cluster, Options, free_port};

impl Cluster {
    /// Starts a standby that follows this server until it is [promoted](Self::promote).
    pub fn start_standby(&self) -> io::Result<Self> {
        let mut standby = Self::prepare()?;
        let data = standby.data_dir();
        let data = data.to_string_lossy();
        self.run(
            "pg_basebackup",
            &[
                "--pgdata",
                &data,
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
        )?;
        standby.start_on_a_free_port(&Options::default())?;
        Ok(standby)
    }

    /// Promotes a standby and returns when it accepts writes.
    pub fn promote(&self) -> io::Result<()> {
        super::run(&mut self.pg_ctl("promote"))
    }

    /// Stops this server and moves its data to a new one with `pg_upgrade`.
    pub fn upgrade(&self) -> io::Result<Self> {
        self.stop_fast()?;
        let mut new = Self::prepare()?;
        new.initialize()?;
        new.port = free_port()?;
        new.write_settings(&Options::default())?;
        let (from, to) = (self.data_dir(), new.data_dir());
        let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
        let binaries = self.bin_dir().to_string_lossy();
        let sockets = new.socket_dir().to_string_lossy();
        new.run(
            "pg_upgrade",
            &[
                "--old-bindir",
                &binaries,
                "--new-bindir",
                &binaries,
                "--old-datadir",
                &from,
                "--new-datadir",
                &to,
                "--socketdir",
                &sockets,
                "--username=postgres",
            ],
        )?;
        new.start_on_a_free_port(&Options::default())?;
        Ok(new)
    }
}
