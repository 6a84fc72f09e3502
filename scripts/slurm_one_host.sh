#!/usr/bin/env bash
# A whole SLURM on one host, for trying transfusion under a scheduler: time limits, requeues, preemption, lost nodes.
# For developers, as root on Debian or Ubuntu, in containers too, after `apt-get install slurm-wlm munge`.
#
#   scripts/slurm_one_host.sh start FOLDER     starts what does not run yet; prints the line to type before sbatch & Co.
#   scripts/slurm_one_host.sh lose FOLDER n1   as if node n1 lost its power; `start` brings it back
#   scripts/slurm_one_host.sh stop FOLDER      cancels all jobs and ends SLURM
#
# One munged, one slurmctld, and a slurmd for each of the nodes n1 and n2 of one CPU: two jobs of one task run side by
# side, and a job of two tasks has two nodes (with MASTER_ADDR=127.0.0.1: no resolver knows their names). Nothing is
# confined and nothing accounted for. Jobs in partition `high` requeue those in `low`, the default. What takes minutes
# on a cluster takes seconds: a lost node is noticed after 20, a requeued job starts after 10, and SIGKILL follows
# SIGTERM after 10.
#
# Key, sockets, configuration, state and logs lie under FOLDER, none in /etc. Ports: 16817 to 16819 on 127.0.0.1.
set -euo pipefail

nodes=(n1 n2)
port=16817

start() {
    [[ $EUID -eq 0 ]] || fail "SLURM's daemons need root."
    for program in munged slurmctld slurmd; do
        command -v "$program" > /dev/null || fail "There is no $program: apt-get install slurm-wlm munge"
    done
    mkdir -p "$folder"/{log,munge,spool,state}
    configure
    alive munged || munged --force --key-file "$folder/munge/key" --socket "$folder/munge/socket" \
        --pid-file "$folder/munged.pid" --seed-file "$folder/munge/seed" --log-file "$folder/log/munged"
    alive slurmctld || slurmctld
    for node in "${nodes[@]}"; do
        alive "$node" || slurmd -N "$node"
    done
    within 40 all_nodes_up || fail "The nodes did not come up; see $folder/log/"
    echo "export SLURM_CONF=$SLURM_CONF"
}

stop() {
    if alive slurmctld; then
        squeue --noheader --format %A | xargs --no-run-if-empty scancel
        within 40 no_jobs || echo "Some jobs did not end; see $folder/log/" >&2
    fi
    for name in "${nodes[@]}" slurmctld munged; do
        if alive "$name"; then
            kill "$(pid "$name")"
            within 20 dead "$name" || echo "$name did not end; see $folder/log/" >&2
        fi
    done
}

lose() {
    local victims parent
    alive "$1" || fail "No node $1 runs."
    victims=("$(pid "$1")")
    for process in /proc/[0-9]*; do
        runs_on "$1" "$process" || continue
        victims+=("${process#/proc/}")
        # Left alive, the step's manager would report an end in good order.
        parent=$(awk '/^PPid:/ { print $2 }' "$process/status") || continue
        [[ $(< "/proc/$parent/comm") != slurmstepd* ]] || victims+=("$parent")
    done
    kill -9 "${victims[@]}"
}

configure() {
    local memory
    memory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
    [[ -s $folder/munge/key ]] || (umask 077 && head -c 1024 /dev/urandom > "$folder/munge/key")
    cat > "$SLURM_CONF" << CONF
ClusterName=one_host
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
# cred_expire: a requeued job waits until the credential of its last start has expired.
AuthInfo=socket=$folder/munge/socket,cred_expire=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/%n

ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2

# Nothing else remembers jobs that have ended.
MinJobAge=86400
JobRequeue=1
KillWait=10
SlurmdTimeout=20
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE

NodeName=n[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] \
    CPUs=1 RealMemory=$memory
PartitionName=low Nodes=ALL Default=YES PriorityTier=1
PartitionName=high Nodes=ALL PriorityTier=2
CONF
}

pid() { cat "$folder/$1.pid" 2> /dev/null; }

alive() { [[ $(readlink "/proc/$(pid "$1")/exe") =~ /(munged|slurm) ]]; } # neither a zombie nor another's number

dead() { ! alive "$1"; }

runs_on() { grep -qsz "^SLURMD_NODENAME=$1$" "$2/environ" && grep -qsz "^SLURM_CONF=$SLURM_CONF$" "$2/environ"; }

all_nodes_up() { [[ $(sinfo --Node --noheader --partition low --responding --format %N | wc -l) -eq ${#nodes[@]} ]]; }

no_jobs() { [[ -z $(squeue --noheader) ]]; }

within() { # SECONDS CONDITION...: wait until it holds
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}

fail() {
    echo "$*" >&2
    exit 2
}

case "${1-} $#" in
    "start 2" | "stop 2" | "lose 3") ;;
    *) fail "Usage: $0 start FOLDER | lose FOLDER n1 | stop FOLDER" ;;
esac
folder=$(realpath "$2")
export SLURM_CONF=$folder/slurm.conf
"$1" "${@:3}"
