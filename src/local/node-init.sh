#!/bin/sh
# Process 1 of a node of the local cluster: makes the node's own file system, keeps its services running, reaps
# orphans. It runs in mount, pid, network, UTS and IPC namespaces of its own; when it dies, the kernel kills every
# other process of the node, as if its power were cut.
#
# node-init.sh NODE_DIRECTORY CHECKOUT PID_FILE ROOT_SCRIPT
#   NODE_DIRECTORY  made by `up`: services/ (a script each), hold/ (a file named as a service keeps that down), hosts,
#                   log/ (becomes /var/log), and what ROOT_SCRIPT says
#   PID_FILE        gets "PID START_TIME" as the machine sees this process
#   ROOT_SCRIPT     is sourced: makes the file system, of which this part needs $home/services, $home/hold and
#                   $home/hosts, and has the function end_pods
set -eu
umask 022
dir=$1 checkout=$2 pid_file=$3 root_script=$4
name=${dir##*/} home=/run/romana-node

# /proc is still the machine's, so these are the numbers that `down` sees. The start time is field 22 (proc(5)).
read -r stat < /proc/self/stat
pid=${stat%% *}
# shellcheck disable=SC2086 # split into fields on purpose
set -- ${stat##*) }
echo "$pid ${20}" > "$pid_file.new"
mv "$pid_file.new" "$pid_file"

# shellcheck source=/dev/null
. "$root_script"
hostname "$name"
echo "$name" > /etc/hostname
cp $home/hosts /etc/hosts

# Keeps one service running, its output in /var/log/romana; ends with it once asked to. A line of === in the log begins
# each life of the node.
supervise() { # SERVICE
  service=$1 child='' stopping=''
  trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
  trap 'stopping=1; [ -z "$child" ] || kill -PWR "$child" 2>/dev/null' PWR
  echo "=== $name boots" >> "/var/log/romana/$service.log"
  while [ -z "$stopping" ]; do
    if [ -e "$home/hold/$service" ]; then
      sleep 0.1
      continue
    fi
    sh "$home/services/$service" >> "/var/log/romana/$service.log" 2>&1 < /dev/null &
    child=$!
    echo "$child" > "$home/$service.pid"
    status=0
    wait "$child" || status=$?
    if [ -n "$stopping" ]; then
      wait "$child" || true # the first wait was cut short by the signal
      break
    fi
    child=''
    echo "--- $service ended with status $status, starts again in 0.5 s" >> "/var/log/romana/$service.log"
    sleep 0.5
  done
}

supervisors='' by_name=' '
for script in "$home/services"/*; do
  supervise "${script##*/}" &
  supervisors="$supervisors $!"
  by_name="$by_name${script##*/}=$! "
done

# The process that supervises SERVICE; nothing where the node has none of that name.
supervisor_of() { # SERVICE
  case $by_name in
    *" $1="*) set -- "${by_name#* "$1"=}" && echo "${1%% *}" ;;
  esac
}

# The listening socket of the API server is its supervisor's now.
exec 3<&-

# SIGTERM ends the services, and with them everything. SIGPWR is for an orderly shutdown: the pods end first, by SIGTERM
# and their grace.
stopped=''
trap 'stopped=TERM' TERM
trap 'stopped=PWR' PWR
set +e
# `wait` without operands also reaps the orphans of the node, which become children of this shell.
while [ -z "$stopped" ]; do wait; done
[ "$stopped" != PWR ] || end_pods
# shellcheck disable=SC2086 # a list of pids
kill -TERM $supervisors 2> /dev/null
# shellcheck disable=SC2086 # a list of pids
wait $supervisors
