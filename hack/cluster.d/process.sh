# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# Starting, finding and stopping the daemons.
#
# A pid file holds "PID STARTTIME". A process counts only while both match, so that a number that the
# kernel has given to somebody else is never signalled.

started_at() { # PID: its start time in clock ticks; fails for a zombie
  local stat
  [ -n "$(readlink "/proc/$1/exe" 2>/dev/null)" ] || return 1
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}
pid_of() { # NAME
  local p t
  read -r p t 2>/dev/null <"$D/pid/$1" || return 1
  [ "$(started_at "$p")" = "$t" ] && echo "$p"
}
record() { echo "$2 $(started_at "$2" || echo 0)" >"$D/pid/$1"; }

# Ends with the last words of a daemon that has been started and is gone.
no_daemon_died() {
  local c
  for c in $COMPONENTS; do
    if [ -e "$D/pid/$c" ] && ! pid_of "$c" >/dev/null; then
      tail -n 5 "$D/log/$c" >&2 || true
      die "$c has ended; see $D/log/$c"
    fi
  done
}

stop_one() { # NAME [SIGNAL]
  local p
  p=$(pid_of "$1") || { rm -f "$D/pid/$1"; return 0; }
  kill -"${2:-TERM}" "$p" 2>/dev/null || true
}
wait_gone() { # SECONDS NAME...
  local n=$(($1 * 20)) c alive
  shift
  while [ $((n--)) -gt 0 ]; do
    alive=''
    for c in "$@"; do if pid_of "$c" >/dev/null; then alive=1; fi; done
    [ -n "$alive" ] || return 0
    sleep 0.05
  done
  for c in "$@"; do stop_one "$c" KILL; done
  sleep 0.1
}

# A whole node lives in namespaces; a control plane alone does not.
namespaced() { [ -f "$D/namespaced" ]; }

# Run a command inside the node's namespaces. With -F nsenter does not fork: the command itself keeps the
# host's PID namespace and only its children are born inside, so that $! in it is a pid of the host.
inside() {
  if namespaced; then nsenter -F -t "$(pid_of init)" -m -n -p -- "$@"; else "$@"; fi
}

# A daemon that was killed counts as gone while its threads still end; until the last has, they hold its port. The
# kernel takes a thread's memory (its exe is empty then) before its files: over is it only when all are zombies.
wait_threads() { # NAME
  local p _ n=200
  read -r p _ 2>/dev/null <"$D/pid/$1" || return 0
  while [ $((n--)) -gt 0 ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$p/task/"*/status; do sleep 0.05; done
}

start() { # NAME COMMAND...
  local name=$1 pid
  shift
  pid_of "$name" >/dev/null && return 0
  wait_threads "$name"
  stop_unrecorded "$name"
  local cgroup=''
  if namespaced; then cgroup=$CGROUP; fi
  # The inner ( ) is born in the node's PID namespace and is gone at once: the daemon then belongs to the
  # namespace's init, which reaps it. A child of the outer shell would fall to the host's init, and down would
  # have to wait for that.
  # shellcheck disable=SC2016
  inside bash -c '
    name=$1 dir=$2 cgroup=$3; shift 3
    if [ -n "$cgroup" ]; then
      for h in /sys/fs/cgroup/"$cgroup"/system /sys/fs/cgroup/*/"$cgroup"/system; do
        [ ! -w "$h/cgroup.procs" ] || echo $$ >"$h/cgroup.procs"
      done
    fi 2>/dev/null
    cd "$dir"
    exec 9>&-                                  # a daemon must not hold the lock
    ( setsid "$@" </dev/null >>"log/$name" 2>&1 &
      echo $! >"pid/$name.new" )' - "$name" "$D" "$cgroup" "$@"
  pid=$(cat "$D/pid/$name.new")
  if namespaced; then pid=$(host_pid "$pid"); fi
  [ -n "$pid" ] || die "$name ended at once; see $D/log/$name"
  record "$name" "$pid"
  rm -f "$D/pid/$name.new"
}
# An up that was interrupted just after it had started a daemon has left only this file.
stop_unrecorded() { # NAME
  local p
  p=$(cat "$D/pid/$1.new" 2>/dev/null) || return 0
  if namespaced; then p=$(host_pid "$p"); fi
  [ -z "$p" ] || [ "$(readlink "/proc/$p/cwd" 2>/dev/null)" != "$D" ] || kill -KILL "$p" 2>/dev/null || true
  rm -f "$D/pid/$1.new"
}
# the host's number of a process that has number $1 in the node's PID namespace
host_pid() {
  local p ns tab=$'\t'
  ns=$(readlink "/proc/$(pid_of init)/ns/pid")
  while read -r p; do
    if [ "$(readlink "/proc/$p/ns/pid")" = "$ns" ]; then echo "$p"; return; fi
  done < <(grep -hs "^NSpid:${tab}[0-9]*${tab}$1\$" /proc/[0-9]*/status | cut -f2) # processes come and go meanwhile
}

# Daemons that no pid file tells of, because somebody removed the state directory or an up was interrupted: found
# by their working directory, which is that directory.
orphans() {
  local p
  for p in /proc/[0-9]*; do
    case $(readlink "$p/cwd" 2>/dev/null) in "$D" | "$D (deleted)") ;; *) continue ;; esac
    case $(readlink "$p/exe" 2>/dev/null) in
      */etcd | */kube-apiserver | */kube-controller-manager | */kube-scheduler | */agentkube) echo "${p#/proc/}" ;;
    esac
  done
}
stop_orphans() {
  local p n=100
  while p=$(orphans) && [ -n "$p" ] && [ $((n--)) -gt 0 ]; do
    # shellcheck disable=SC2086
    kill -KILL $p 2>/dev/null || true
    sleep 0.05
  done
}
