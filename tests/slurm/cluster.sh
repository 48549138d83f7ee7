#!/usr/bin/env bash
# A real SLURM of one node, this machine: cluster.sh install | start | stop | env
# Needs root. Everything lies in one directory of its own, so that no other SLURM is touched;
# what talks to it needs `eval "$(cluster.sh env)"`.
set -euo pipefail

HOME_OF_IT=${SAS_SLURM_DIRECTORY:-/run/sas-slurm}
export SLURM_CONF=$HOME_OF_IT/slurm.conf

installed() {
  local program
  for program in slurmctld slurmd sbatch munged; do
    command -v "$program" >/dev/null || return 1
  done
}

install() { # the Debian packages
  installed && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    slurmctld slurmd slurm-client munge >/dev/null
}

configure() {
  local host memory
  host=$(hostname -s)
  memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
  mkdir -p "$HOME_OF_IT"/{state,spool,log}
  install_munge
  cat >"$SLURM_CONF" <<CONF
ClusterName=sas
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$HOME_OF_IT/munge/socket,cred_expire=5
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$HOME_OF_IT/state
SlurmdSpoolDir=$HOME_OF_IT/spool
SlurmctldPidFile=$HOME_OF_IT/slurmctld.pid
SlurmdPidFile=$HOME_OF_IT/slurmd.pid
SlurmctldLogFile=$HOME_OF_IT/log/slurmctld
SlurmdLogFile=$HOME_OF_IT/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,requeue_delay=1
ReturnToService=2
KillWait=8
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=2
CONF
}

install_munge() {
  local place=$HOME_OF_IT/munge
  mkdir -p "$place"
  dd if=/dev/urandom of="$place/key" bs=128 count=1 status=none
  chown -R munge: "$place"
  chmod 755 "$HOME_OF_IT" "$place"
  chmod 400 "$place/key"
}

start() {
  # without its file sinfo would ask the network for a minute
  if [ -f "$SLURM_CONF" ] && sinfo >/dev/null 2>&1; then return; fi
  configure
  local place=$HOME_OF_IT/munge
  (cd "$place" && runuser -u munge -- munged --key-file key --socket "$place/socket" \
    --pid-file "$place/pid" --log-file "$place/log" --seed-file "$place/seed")
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ]; then return; fi
    sleep 1
  done
  tail "$HOME_OF_IT"/log/* >&2
  echo "cluster.sh: the node does not become idle" >&2
  return 1
}

stop() {
  local pid
  for file in slurmd.pid slurmctld.pid munge/pid; do
    pid=$(cat "$HOME_OF_IT/$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  done
  rm -rf "$HOME_OF_IT"
}

case ${1:-} in
install | start | stop) "$1" ;;
env) echo "export SLURM_CONF=$SLURM_CONF" ;;
*) echo "usage: $0 install|start|stop|env" >&2 && exit 2 ;;
esac
