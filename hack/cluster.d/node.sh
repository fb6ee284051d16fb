# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# What a whole node needs from the machine: namespaces, a veth pair, cgroups. Network, mount and PID
# namespaces together mean that killing one process (their init) removes every daemon, container, mount,
# veth and iptables rule at once, and that the host's sysctls and /var stay as they are.

# May pods run here? Ends with exit code 3 if not.
check_rights() {
  [ "$(id -u)" = 0 ] || no_rights "this is user $(id -un), and a node needs root"
  need ip nsenter unshare catatonit iptables conntrack mount sysctl containerd runc ctr
  [ -x /usr/lib/cni/ptp ] || die "missing Debian package: containernetworking-plugins ('hack/deps cluster' installs it)"
  unshare --mount --net --pid --fork --propagation slave true 2>/dev/null || no_rights "unshare fails: no new network, mount and PID namespaces"
  local h missing='' t
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    t=/sys/fs/cgroup/$CGROUP.probe
    { mkdir "$t" && rmdir "$t"; } 2>/dev/null || no_rights "cannot make a cgroup under /sys/fs/cgroup"
    for h in cpu memory pids; do grep -qw "$h" /sys/fs/cgroup/cgroup.controllers || missing+=" $h"; done
  else
    for h in cpu cpuacct cpuset devices freezer memory pids; do
      t=/sys/fs/cgroup/$h/$CGROUP.probe
      { mkdir "$t" && rmdir "$t"; } 2>/dev/null || missing+=" $h"
    done
  fi
  [ -z "$missing" ] || no_rights "cgroup controllers missing or not writable:$missing"
}

make_namespaces() {
  local d h p
  ! ip link show "$VETH" >/dev/null 2>&1 ||
    die "a cluster with index $IDX is running, and its state is not in $D ('hack/cluster down', or another AGENTKUBE_INDEX)"
  touch "$D/namespaced"
  mkdir -p "$D/priv/sys" "$D/priv/var-log" "$D/kubelet" "$D/pv"
  # kubelet insists on these global sysctls: it is shown files with the values it wants, the host's stay
  for h in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    d=${h%=*}
    echo "${h#*=}" >"$D/priv/sys/${d//\//.}"
  done
  rm -f "$D/priv/ready"
  # unshare without --fork: bash stays outside, its first child is PID 1 of the new PID namespace,
  # and so $! is a pid of the host
  # shellcheck disable=SC2016
  unshare --mount --net --pid --propagation slave bash -c '
    exec 9>&-
    setsid bash "$1/node-init" "$2" </dev/null >>"$2/log/init" 2>&1 &
    echo $! >"$2/pid/init.new"' - "$PARTS" "$D"
  p=$(cat "$D/pid/init.new")
  rm "$D/pid/init.new"
  record init "$p"
  until_ok 10 "namespaces" test -e "$D/priv/ready"
  record init "$p"
  # One veth pair. The inner end is the node's address, the outer end the host's; the host routes pods and
  # Services to the node, so that all of them can be reached from here without an iptables rule.
  ip link add "$VETH" type veth peer name "$PEER" netns "$p"
  ip addr add "$HOSTIP/30" dev "$VETH"
  ip link set "$VETH" up
  # The node has no default route: pods cannot leave, and fail at once instead of hanging. Service addresses
  # need a route all the same: connect() looks for one before kube-proxy's rules rewrite the address.
  # shellcheck disable=SC2016
  inside bash -c 'ip addr add "$1" dev "$2"; ip link set "$2" up; ip route add "$3" dev "$2"' - "$NODEIP/30" "$PEER" "$SVCNET"
  ip route add "$PODNET" via "$NODEIP" dev "$VETH"
  ip route add "$SVCNET" via "$NODEIP" dev "$VETH"
  make_cgroups
  cgroups | while read -r d; do echo "$p" >"$d/system/cgroup.procs" || true; done 2>/dev/null
  touch "$D/priv/made"
}

# this cluster's cgroup in every hierarchy (one with cgroup v2, a dozen with v1)
cgroups() {
  local h
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo "/sys/fs/cgroup/$CGROUP"; return; fi
  for h in /sys/fs/cgroup/*/; do
    # cpu and cpuacct may be links to one hierarchy
    if [ -e "$h/cgroup.procs" ] && [ ! -L "${h%/}" ]; then echo "$h$CGROUP"; fi
  done
}
make_cgroups() {
  local c parent
  while read -r c; do
    parent=${c%/*}
    if [ "$parent" = /sys/fs/cgroup ]; then delegate "$parent"; fi
    mkdir -p "$c"
    if [ "$parent" = /sys/fs/cgroup ]; then delegate "$c"; fi
    if [ -e "$c/cpuset.cpus" ] && [ "$parent" != /sys/fs/cgroup ]; then copy_cpuset "$parent" "$c"; fi
    mkdir -p "$c/system"
    if [ -e "$c/cpuset.cpus" ] && [ "$parent" != /sys/fs/cgroup ]; then copy_cpuset "$c" "$c/system"; fi
  done < <(cgroups)
}
# cgroup v1: a new cpuset is empty and takes no process
copy_cpuset() {
  cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
  cat "$1/cpuset.mems" >"$2/cpuset.mems"
}
# cgroup v2: controllers must be handed down at every level
delegate() {
  local k
  for k in cpuset cpu io memory hugetlb pids; do
    if grep -qw "$k" "$1/cgroup.controllers"; then echo "+$k" >"$1/cgroup.subtree_control" || true; fi
  done 2>/dev/null
}
cgroups_left() { local c; cgroups | while read -r c; do [ ! -d "$c" ] || echo "$c"; done; }
remove_cgroups() {
  local c n p
  for n in $(seq 60); do
    [ -n "$(cgroups_left)" ] || return 0
    if [ "$n" = 20 ]; then # only processes of this cluster can be in its cgroups
      for p in $(cgroups_left | while read -r c; do find "$c" -name cgroup.procs -exec cat {} +; done | sort -u); do
        kill -KILL "$p" 2>/dev/null || true
      done
    fi
    cgroups_left | while read -r c; do find "$c" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
    sleep 0.1
  done
  say "down: cgroups left: $(cgroups_left | tr '\n' ' ')"
  return 1
}

node_shell() {
  namespaced && pid_of init >/dev/null || die "no node is running (a control plane alone has no namespaces)"
  [ $# -gt 0 ] || set -- bash
  exec nsenter -t "$(pid_of init)" -m -n -p -- "$@"
}
