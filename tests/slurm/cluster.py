"""A real cluster of one node on loopback: munged, slurmctld and slurmd with all their files in one folder.

It has no cgroups and no accounting. Memory is enforced by sampling (OverMemoryKill). The node claims more processors
than the machine may have (config_overrides), and two GPUs that are none, so GPUs are counted but not isolated.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
CPUS = 4

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2
PartitionName=cpu Nodes={host} Default=YES DefMemPerCPU=1000
PartitionName=gpu Nodes={host} DefMemPerCPU=1000
"""


def missing() -> str | None:
    """Why a cluster cannot be started here, or None if it can."""
    if os.geteuid() != 0:
        return "only root can start the daemons of SLURM"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: apt-get install --no-install-recommends slurm-wlm munge)"
    return None


class Cluster:
    """Context manager around the daemons.

    Attributes:
        environment: variables with which SLURM's commands (and the plugin that calls them) find this cluster.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # A step outlives its slurmd, so jobs end first.
            self.slurm("scancel", "--user=root")
            wait_for(lambda: not self.slurm("squeue", "--noheader"), "all jobs have ended", 60)
        finally:
            self._stop()

    def slurm(self, *command: str) -> str:
        """Output of one of SLURM's commands."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def log(self) -> str:
        """What the daemons said, for the message of a failed test."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _start(self) -> None:
        host = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 - 500
        conf = SLURM_CONF.format(host=host, ports=free_ports(2), folder=self.folder, memory=memory, cpus=CPUS)
        (self.folder / "slurm.conf").write_text(conf)
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null,/dev/zero\n")
        # The plugin calls srun without SLURM_CONF; /etc/slurm stays as it is.
        (self.folder / "bin").mkdir()
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        munge = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("key-file", "socket", "pid-file")]
        munge += [f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munge.seed"]
        self._daemon("munged", "--foreground", *munge)
        wait_for((self.folder / "munge.socket").exists, "munged listens", 30)
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D")
        wait_for(lambda: "idle" in self._states(), "the node is idle", 60)

    def _states(self) -> str:
        """State of the node; nothing while slurmctld does not answer yet."""
        command = ["sinfo", "--noheader", "--format=%T"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def _daemon(self, *command: str) -> None:
        output = (self.folder / f"{command[0]}.output.log").open("wb")
        self._daemons.append(
            subprocess.Popen(command, env=self.environment, stdout=output, stderr=output, start_new_session=True)
        )

    def _stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()


def wait_for(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: it does not hold after that many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
