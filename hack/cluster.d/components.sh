# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# The daemons and the verbs over them: up, down, status, restart, compact.

# ---------------------------------------------------------------- which cluster
# A kubeconfig that the user has set, of a cluster that hack/cluster did not make.
# The file of another of its clusters counts only while the environment does not choose a cluster.
foreign() {
  [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$D/admin.kubeconfig" ] || return 1
  [ -z "${AGENTKUBE_INDEX:-}${AGENTKUBE_DIR:-}" ] || [ ! -e "${KUBECONFIG%/*}/pki/.done" ]
}
kubeconfig_path() {
  if foreign; then echo "$KUBECONFIG"
  elif [ -f "$D/admin.kubeconfig" ]; then echo "$D/admin.kubeconfig"
  else die "$NAME is not running ('hack/cluster up' first)"; fi
}

# Ports and programs are chosen by the first up and then kept: restart and a second up find them here.
# Sets MODE SERVER PORT BIND ADVERTISE ETCD ETCD_PEER KCM_PORT SCHEDULER_PORT SERVERS ETCD_PROGRAM AUDIT GATES.
choose_settings() { # node|control
  local assets=${KUBEBUILDER_ASSETS:-}
  MODE=$1 SERVERS=$BIN ETCD_PROGRAM=etcd AUDIT=${AGENTKUBE_AUDIT:-} GATES=${AGENTKUBE_FEATURE_GATES:-}
  if [ "$MODE" = control ] && [ -n "$assets" ]; then
    assets=$(path "$assets")
    [ -x "$assets/etcd" ] && [ -x "$assets/kube-apiserver" ] || die "KUBEBUILDER_ASSETS=$assets lacks etcd or kube-apiserver"
    SERVERS=$assets ETCD_PROGRAM=$assets/etcd
    say "up: programs from KUBEBUILDER_ASSETS ($assets)"
  else
    need etcd
    built || build
  fi
  if [ "$MODE" = node ]; then
    PORT=6443 BIND=0.0.0.0 ADVERTISE=$NODEIP ETCD=2379 ETCD_PEER=2380 KCM_PORT=10257 SCHEDULER_PORT=10259
    SERVER=https://$NODEIP:$PORT
  else
    # endpoints may not be loopback addresses, so the Service "kubernetes" gets a documentation address
    BIND=127.0.0.1 ADVERTISE=192.0.2.1
    choose_ports
    # 0: nobody asks the two of them anything
    KCM_PORT=0 SCHEDULER_PORT=0
    SERVER=https://127.0.0.1:$PORT
  fi
  declare -p MODE SERVER PORT BIND ADVERTISE ETCD ETCD_PEER KCM_PORT SCHEDULER_PORT SERVERS ETCD_PROGRAM AUDIT GATES >"$D/settings"
}
# By the index, or by the path of a state directory of one's own: two clusters that start at the same moment
# then do not both find the same ports free. If a port is taken all the same, the next three are tried.
choose_ports() {
  local hash
  PORT=$((6443 + IDX)) ETCD=$((23790 + 2 * IDX)) ETCD_PEER=$((23791 + 2 * IDX))
  if [ -n "${AGENTKUBE_DIR:-}" ]; then
    hash=$(cksum <<<"$D")
    PORT=$((20000 + ${hash%% *} % 3000 * 3)) ETCD=$((PORT + 1)) ETCD_PEER=$((PORT + 2))
  fi
  while in_use "$PORT" || in_use "$ETCD" || in_use "$ETCD_PEER"; do
    PORT=$((20000 + (PORT + 3) % 9000)) ETCD=$((PORT + 1)) ETCD_PEER=$((PORT + 2))
  done
}
in_use() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# shellcheck source=/dev/null
read_settings() { . <(sed 's/^declare --/declare -g/' "$D/settings"); }

# ---------------------------------------------------------------- up
up() {
  local mode=node t0 t1 t2
  case ${1:-} in
    '') ;;
    --control-plane-only) mode=control ;;
    *) wrong_usage "up: no such option: $1" ;;
  esac
  [ $# -le 1 ] || wrong_usage "up: too many arguments"
  if foreign; then
    say "up: KUBECONFIG is set: using that cluster ($KUBECONFIG), starting nothing"
    tools
    "$TOOLS/kubectl" --kubeconfig "$KUBECONFIG" --request-timeout=10s version >/dev/null 2>&1 || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer (unset KUBECONFIG to start one here)"
    echo "$KUBECONFIG"
    return
  fi
  need openssl flock curl
  if [ $mode = node ]; then
    check_rights
    [ ${#D} -le 70 ] || die "the path of the state directory is too long for Unix sockets (70 characters): $D"
  fi
  lock_state
  # nothing was started: nothing is left
  trap '[ -e "$D/settings" ] || rm -rf "$D" "$D.lock"' EXIT
  t0=$(date +%s%N)
  # the machine was rebooted, somebody killed it, or an up was interrupted before the namespaces were complete
  if namespaced && ! { [ -e "$D/priv/made" ] && pid_of init >/dev/null; }; then
    say "up: clearing what is left of an old cluster"
    down_locked
  fi
  mkdir -p "$D/pid" "$D/log"
  if [ -f "$D/settings" ]; then
    read_settings
    [ $mode = "$MODE" ] || die "$NAME runs as '$MODE' (node: whole, control: control plane only): 'hack/cluster down' first"
  else
    choose_settings $mode
  fi
  pid_of etcd >/dev/null || say "up: $NAME: starting $(case $mode in node) echo 'a whole node' ;; *) echo 'a control plane' ;; esac) ..."
  if [ $mode = node ] && ! namespaced; then make_namespaces; fi
  start_etcd
  [ $mode = control ] || start_containerd
  pki
  start_apiserver
  [ $mode = control ] || prepare_node # while the API server starts
  until_ok 90 "API server" api /readyz
  t1=$(date +%s%N)
  start_controllers
  if [ $mode = node ]; then
    start_node
    until_ok 90 "node Ready" node_ready
    addons
  fi
  if [ -x "$SERVERS/kube-controller-manager" ]; then
    until_ok 60 "default service account" api /api/v1/namespaces/default/serviceaccounts/default
  fi
  t2=$(date +%s%N)
  say "up: $NAME: API server after $(((t1 - t0) / 1000000)) ms, ready after $(((t2 - t0) / 1000000)) ms; KUBECONFIG=$D/admin.kubeconfig"
  echo "$D/admin.kubeconfig"
}
node_ready() { api "/api/v1/nodes/$NODE" | tr -d ' \n' | grep -q '"type":"Ready","status":"True"'; }

# ---------------------------------------------------------------- control plane
start_etcd() {
  # no fsync: the data need not outlive a power cut, and a slow disk must not slow the tests
  start etcd "$ETCD_PROGRAM" --name="$NODE" --data-dir="$D/etcd" --unsafe-no-fsync --logger=zap \
    --listen-client-urls="http://127.0.0.1:$ETCD" --advertise-client-urls="http://127.0.0.1:$ETCD" \
    --listen-peer-urls="http://127.0.0.1:$ETCD_PEER" --initial-advertise-peer-urls="http://127.0.0.1:$ETCD_PEER" \
    --initial-cluster="$NODE=http://127.0.0.1:$ETCD_PEER"
}
start_apiserver() {
  local P=$D/pki more=()
  if [ -n "$AUDIT" ]; then
    printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' >"$D/audit.yaml"
    more+=(--audit-policy-file="$D/audit.yaml" --audit-log-path="$D/log/audit" --audit-log-maxsize=100)
  fi
  # without a controller manager no ServiceAccount is ever made, and no pod could be created
  [ -x "$SERVERS/kube-controller-manager" ] || more+=(--disable-admission-plugins=ServiceAccount)
  [ -z "$GATES" ] || more+=(--feature-gates="$GATES")
  start kube-apiserver "$SERVERS/kube-apiserver" --etcd-servers="http://127.0.0.1:$ETCD" --storage-backend=etcd3 \
    --bind-address="$BIND" --advertise-address="$ADVERTISE" --secure-port="$PORT" --service-cluster-ip-range="$SVCNET" \
    --allow-privileged=true --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --enable-bootstrap-token-auth=true --profiling=false \
    --client-ca-file="$P/ca.crt" --tls-cert-file="$P/apiserver.crt" --tls-private-key-file="$P/apiserver.key" \
    --kubelet-client-certificate="$P/apiserver-kubelet-client.crt" --kubelet-client-key="$P/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$P/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$P/sa.pub" --service-account-signing-key-file="$P/sa.key" \
    --requestheader-client-ca-file="$P/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$P/front-proxy-client.crt" --proxy-client-key-file="$P/front-proxy-client.key" --enable-aggregator-routing=false \
    "${more[@]}"
}
start_controllers() {
  local P=$D/pki k gates=() insecure=()
  [ -z "$GATES" ] || gates=(--feature-gates="$GATES")
  # 1.20 also opens an insecure port unless told not to; releases from 1.24 on have no such flag
  [ "$SERVERS" != "$BIN" ] || insecure=(--port=0)
  k=$D/kcm.kubeconfig
  # The defaults of the request rate (20/s) delay the start of each of the 35 controllers. Node CIDRs are set
  # by this script: the allocator sleeps 10 s before anything after it starts. The hostPath provisioner makes
  # dynamic volumes without a pod of its own.
  if [ -x "$SERVERS/kube-controller-manager" ]; then
    start kube-controller-manager env AGENTKUBE_PV_DIR="$D/pv" "$SERVERS/kube-controller-manager" \
      --kubeconfig="$k" --authentication-kubeconfig="$k" --authorization-kubeconfig="$k" --bind-address=127.0.0.1 --secure-port="$KCM_PORT" "${insecure[@]}" \
      --leader-elect=false --use-service-account-credentials=true --controllers='*,bootstrapsigner,tokencleaner' \
      --service-account-private-key-file="$P/sa.key" --root-ca-file="$P/ca.crt" --client-ca-file="$P/ca.crt" \
      --cluster-signing-cert-file="$P/ca.crt" --cluster-signing-key-file="$P/ca.key" --requestheader-client-ca-file="$P/front-proxy-ca.crt" \
      --allocate-node-cidrs=false --cluster-name="$NAME" --enable-hostpath-provisioner=true --flex-volume-plugin-dir="$D/kubelet-plugins" \
      --node-monitor-period=2s --profiling=false --kube-api-qps=500 --kube-api-burst=500 "${gates[@]}"
  fi
  k=$D/scheduler.kubeconfig
  if [ -x "$SERVERS/kube-scheduler" ]; then
    start kube-scheduler "$SERVERS/kube-scheduler" --kubeconfig="$k" --authentication-kubeconfig="$k" --authorization-kubeconfig="$k" \
      --bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" "${insecure[@]}" --leader-elect=false --profiling=false --kube-api-qps=500 --kube-api-burst=500
  fi
}

# ---------------------------------------------------------------- node
start_containerd() {
  local snapshotter=overlayfs
  mkdir -p "$D/ctd" "$D/cni"
  overlay_works || snapshotter=native
  cat >"$D/ctd/config.toml" <<T
version = 2
root = "$D/ctd/root"
state = "$D/ctd/state"
[grpc]
  address = "$D/ctd/containerd.sock"
[ttrpc]
  address = "$D/ctd/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  stream_server_address = "127.0.0.1"
  # without CAP_SYS_RESOURCE no process may lower its oom_score_adj
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$D/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$(command -v runc)"
        SystemdCgroup = false
T
  # ptp, not bridge: every packet between pods is routed, so that Services work without br_netfilter and
  # hairpin mode. Nothing enforces NetworkPolicies.
  cat >"$D/cni/10-pods.conflist" <<C
{"cniVersion":"0.4.0","name":"pods","plugins":[
 {"type":"ptp","ipMasq":false,"ipam":{"type":"host-local","dataDir":"$D/priv/cni/networks","ranges":[[{"subnet":"$PODNET24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}
C
  start containerd containerd -c "$D/ctd/config.toml"
}
overlay_works() {
  local t=$D/priv/overlay rc=0
  mkdir -p "$t"/{lower,upper,work,merged}
  # shellcheck disable=SC2016
  inside bash -c 'mount -t overlay overlay -o lowerdir="$1/lower",upperdir="$1/upper",workdir="$1/work" "$1/merged" && umount "$1/merged"' - "$t" 2>/dev/null || rc=1
  rm -rf "$t"
  return $rc
}
prepare_node() {
  until_ok 30 containerd ctr --address "$D/ctd/containerd.sock" version
  [ -e "$D/priv/paused" ] || { pause_image; touch "$D/priv/paused"; }
  printf 'nameserver %s\n' "$NODEIP" >"$D/resolv.conf"
  mkdir -p "$D/kubelet-plugins"
  cat >"$D/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $D/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $D/pki/kubelet.crt
tlsPrivateKeyFile: $D/pki/kubelet.key
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [$DNSIP]
clusterDomain: cluster.local
resolvConf: $D/resolv.conf
volumePluginDir: $D/kubelet-plugins
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 5s
nodeStatusReportFrequency: 1m
syncFrequency: 10s
kubeAPIQPS: 100
kubeAPIBurst: 200
eventRecordQPS: 0
fileCheckFrequency: 0s
httpCheckFrequency: 0s
volumeStatsAggPeriod: 0s
serializeImagePulls: false
Y
}
start_node() {
  start kubelet "$BIN/kubelet" --config="$D/kubelet.yaml" --kubeconfig="$D/kubelet.kubeconfig" --hostname-override="$NODE" --node-ip="$NODEIP" \
    --root-dir="$D/kubelet" --container-runtime=remote --container-runtime-endpoint="unix://$D/ctd/containerd.sock" --pod-infra-container-image=localhost/pause:1
  # conntrack options 0: do not write the host's sysctls
  start kube-proxy "$BIN/kube-proxy" --kubeconfig="$D/proxy.kubeconfig" --hostname-override="$NODE" --cluster-cidr="$PODNET" --proxy-mode=iptables --oom-score-adj=0 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 --iptables-min-sync-period=100ms --metrics-bind-address=127.0.0.1:10249
  # kubelet reports Ready as soon as it sees its pod CIDR, else only at its next status period
  until_ok 60 "node registration" api "/api/v1/nodes/$NODE"
  api "/api/v1/nodes/$NODE" | grep -q '"podCIDR"' ||
    api "/api/v1/nodes/$NODE" -o /dev/null -X PATCH -H Content-Type:application/merge-patch+json -d '{"spec":{"podCIDR":"'"$PODNET24"'","podCIDRs":["'"$PODNET24"'"]}}'
  start cluster-dns "$BIN/cluster-dns" --kubeconfig="$D/dns.kubeconfig" --listen="$NODEIP:53" --hosts="host.agentkube.internal=$HOSTIP,$NODE=$NODEIP"
}
addons() {
  local system=/api/v1/namespaces/kube-system
  create() { # COLLECTION NAME JSON
    api "$1/$2" -o /dev/null || api "$1" -o /dev/null -H Content-Type:application/json -X POST --data-binary "$3"
  }
  # the DNS Service has no selector: its endpoint is the daemon on the node
  create $system/services kube-dns '{"apiVersion":"v1","kind":"Service","metadata":{"name":"kube-dns","labels":{"k8s-app":"kube-dns"}},"spec":{"clusterIP":"'"$DNSIP"'","ports":[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]}}'
  create $system/endpoints kube-dns '{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"kube-dns"},"subsets":[{"addresses":[{"ip":"'"$NODEIP"'"}],"ports":[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]}]}'
  create /apis/storage.k8s.io/v1/storageclasses standard '{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"standard","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"kubernetes.io/host-path"}'
}

# ---------------------------------------------------------------- restart, compact
running() { [ -f "$D/settings" ] || die "$NAME is not running ('hack/cluster up' first)"; read_settings; }

restart() { # COMPONENT
  local c=$1
  case $c in
    apiserver | controller-manager | scheduler | proxy) c=kube-$c ;;
    dns) c=cluster-dns ;;
  esac
  case " $COMPONENTS " in *" $c "*) ;; *) wrong_usage "restart: no such component: $1 (there are $COMPONENTS)" ;; esac
  running
  [ -e "$D/pid/$c" ] || die "restart: $NAME has no $c"
  stop_one "$c" KILL
  wait_gone 5 "$c"
  # up starts what is missing and waits until it answers
  if [ "$MODE" = control ]; then KUBECONFIG='' up --control-plane-only; else KUBECONFIG='' up; fi
}

# Compaction through etcd's own HTTP interface. Lists that continue from, or ask exactly for, an older revision
# then answer 410 Gone. A watch is served from the API server's memory and fails only when that has forgotten
# the revision too: 'restart apiserver' after the compaction.
compact() {
  local rev
  running
  etcd_call() { inside bash -c 'curl -sf --max-time 10 "$@"' - "http://127.0.0.1:$ETCD/v3/kv/$1" -d "$2"; }
  # shellcheck disable=SC2119
  rev=$(etcd_call range '{"key":"AA==","limit":1}' | sed -n 's/.*"revision":"\([0-9]*\)".*/\1/p')
  [ -n "$rev" ] || die "compact: etcd does not answer"
  etcd_call compaction '{"revision":"'"$rev"'","physical":true}' >/dev/null || die "compact: etcd refused (already compacted to $rev?)"
  say "compact: etcd is compacted to revision $rev"
  echo "$rev"
}

# ---------------------------------------------------------------- status
status() {
  local c p rc=0 node
  if foreign; then
    tools
    echo "KUBECONFIG=$KUBECONFIG (a cluster of your own)"
    "$TOOLS/kubectl" --kubeconfig "$KUBECONFIG" --request-timeout=10s get nodes -o wide
    return
  fi
  if [ ! -f "$D/settings" ]; then echo "$NAME: not running"; return 1; fi
  read_settings
  case $MODE in node) echo "$NAME: whole node, $SERVER, state in $D" ;; *) echo "$NAME: control plane only, $SERVER, state in $D" ;; esac
  printf '%-26s %8s %9s\n' COMPONENT PID RSS
  for c in init $COMPONENTS; do
    if p=$(pid_of "$c"); then printf '%-26s %8s %5s MiB\n' "$c" "$p" "$(awk '/^VmRSS/{print int($2 / 1024)}' "/proc/$p/status")"
    elif [ -e "$D/pid/$c" ]; then printf '%-26s %8s\n' "$c" DEAD; rc=1
    elif [ "$MODE" = node ]; then printf '%-26s %8s\n' "$c" MISSING; rc=1; fi
  done
  if api /readyz >/dev/null 2>&1; then echo "API server: ready"; else echo "API server: NOT READY"; rc=1; fi
  if [ "$MODE" = node ]; then
    if node_ready 2>/dev/null; then node=Ready; else node='NOT READY'; rc=1; fi
    echo "node $NODE: $node"
    c=/sys/fs/cgroup/memory/$CGROUP/memory.usage_in_bytes
    [ -r "$c" ] || c=/sys/fs/cgroup/$CGROUP/memory.current
    [ ! -r "$c" ] || echo "memory of daemons and pods, page cache included: $(($(cat "$c") >> 20)) MiB"
  fi
  [ $rc = 0 ] || echo "logs: $D/log; 'hack/cluster up' starts what is missing"
  return $rc
}

# ---------------------------------------------------------------- down
down() {
  if foreign; then say "down: KUBECONFIG names a cluster of your own, which is left alone"; fi
  lock_state
  if [ ! -e "$D" ] && [ -z "$(orphans)" ]; then say "down: $NAME is not running"; fi
  down_locked
  rm -f "$D.lock"
}
# The state of a whole node may have been removed while it ran: its cgroups and its daemons then still tell of it.
node_without_state() { [ "$(id -u)" = 0 ] && [ ! -e "$D/settings" ] && [ -n "$(cgroups_left)" ] && [ -n "$(orphans)" ]; }
down_locked() {
  local p c
  # Nothing of the data is kept, so nothing needs to stop in good order: SIGKILL. For a node, killing PID 1 of
  # its PID namespace makes the kernel kill every daemon, shim and container in it; with the last of them go
  # the mount namespace (all mounts) and the network namespace (veths, iptables rules).
  if namespaced || node_without_state; then
    stop_one init KILL
    # shellcheck disable=SC2086
    wait_gone 10 init $COMPONENTS
    ip link del "$VETH" 2>/dev/null || true
    remove_cgroups || true
  else
    for c in $COMPONENTS; do stop_one "$c" KILL; done
    # shellcheck disable=SC2086
    wait_gone 10 $COMPONENTS
    stop_orphans
  fi
  if [ -n "${AGENTKUBE_KEEP_LOGS:-}" ]; then
    p=$(path "$AGENTKUBE_KEEP_LOGS")
    mkdir -p "$p"
    cp -a "$D/log/." "$p/" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$D"
}
