#!/bin/sh
# Process 1 of a node of the local cluster: makes the node's own file system, keeps its services running, reaps
# orphans. It runs in mount, pid, network, UTS and IPC namespaces of its own; when it dies, the kernel kills every
# other process of the node, as if its power were cut.
#
# node-init.sh NODE_DIRECTORY CHECKOUT PID_FILE
#   NODE_DIRECTORY  made by `up`: conf/ (becomes /etc/romana), services/ (a script each), hosts,
#                   cni-bin/ (becomes /opt/cni/bin), var-lib/ and log/ (become /var/lib and /var/log), run/ (an empty mount point)
#   PID_FILE        gets "PID START_TIME" as the machine sees this process
set -eu
umask 022
dir=$1 checkout=$2 pid_file=$3
name=${dir##*/}

# /proc is still the machine's, so these are the numbers that `down` sees. The start time is field 22 (proc(5)).
read -r stat < /proc/self/stat
pid=${stat%% *}
# shellcheck disable=SC2086 # split into fields on purpose
set -- ${stat##*) }
echo "$pid ${20}" > "$pid_file.new"
mv "$pid_file.new" "$pid_file"

# Everything that the mounts below would hide is gathered first, in what becomes /run.
home=/run/romana-node
mount -t tmpfs -o mode=755 tmpfs "$dir/run"
mkdir -p "$dir$home/services" "$dir$home/checkout" "$dir$home/var-lib" "$dir$home/log"
mount --bind "$checkout" "$dir$home/checkout"
mount --bind "$dir/var-lib" "$dir$home/var-lib"
mount --bind "$dir/log" "$dir$home/log"
cp -R "$dir/services" "$dir/conf" "$dir/cni-bin" "$dir/hosts" "$dir$home/"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$dir$home/"
mount -n --move "$dir/run" /run

for part in etc opt; do
  mkdir -p $home/$part $home/$part.work
  mount -t overlay overlay -o "lowerdir=/$part,upperdir=$home/$part,workdir=$home/$part.work" /$part
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount --bind $home/log /var/log
mount --bind $home/var-lib /var/lib
mkdir -p "$checkout"
mount --bind $home/checkout "$checkout"
mount -o remount,bind,ro "$checkout"
mount -t proc proc /proc
mount -t sysfs sysfs /sys

hostname "$name"
echo "$name" > /etc/hostname
cp $home/hosts /etc/hosts
[ ! -e $home/resolv.conf ] || { rm -f /etc/resolv.conf && mv $home/resolv.conf /etc/resolv.conf; }
rm -rf /etc/cni/net.d /opt/cni/bin /etc/romana
mkdir -p /etc/cni/net.d /opt/cni /run/netns /run/lock /var/log/romana
mv $home/conf /etc/romana
mv $home/cni-bin /opt/cni/bin
cp /proc/sys/kernel/random/uuid $home/boot-id

# Keeps one service running, its output in /var/log/romana; ends with it once asked to. A line of === in the log begins
# each life of the node.
supervise() { # SERVICE
  service=$1 child='' stopping=''
  trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
  trap 'stopping=1; [ -z "$child" ] || kill -PWR "$child" 2>/dev/null' PWR
  echo "=== $name boots" >> "/var/log/romana/$service.log"
  while [ -z "$stopping" ]; do
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

supervisors='' runtime=''
for script in "$home/services"/*; do
  supervise "${script##*/}" &
  supervisors="$supervisors $!"
  [ "${script##*/}" != runtime ] || runtime=$!
done

# The listening socket of the API server is its supervisor's now.
exec 3<&-

# SIGTERM ends the services, and with them everything. SIGPWR is for an orderly shutdown: the runtime ends the pods
# first, by SIGTERM and their grace.
stopped=''
trap 'stopped=TERM' TERM
trap 'stopped=PWR' PWR
set +e
# `wait` without operands also reaps the orphans of the node, which become children of this shell.
while [ -z "$stopped" ]; do wait; done
if [ "$stopped" = PWR ] && [ -n "$runtime" ]; then
  kill -PWR "$runtime"
  wait "$runtime"
fi
# shellcheck disable=SC2086 # a list of pids
kill -TERM $supervisors 2> /dev/null
# shellcheck disable=SC2086 # a list of pids
wait $supervisors
