# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# Certificates, keys and kubeconfigs of one cluster: made once per state directory, EC keys for speed.

pki() {
  [ ! -f "$D/pki/.done" ] || return 0
  local ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes) c
  mkdir -p "$D/pki"
  pushd "$D/pki" >/dev/null
  for c in ca front-proxy-ca; do
    openssl req -x509 "${ec[@]}" -keyout $c.key -out $c.crt -days 3650 -subj "/CN=$NAME-$c" \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,digitalSignature,cRLSign 2>/dev/null
  done
  certificate() { # NAME CA SUBJECT ALTERNATIVE-NAMES
    openssl req "${ec[@]}" -keyout "$1.key" -out "$1.csr" -subj "$3" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 -out "$1.crt" -extfile <(
      printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s\n' "$4") 2>/dev/null
    rm -f "$1.csr"
  }
  local service=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
  certificate apiserver ca /CN=kube-apiserver "$service,DNS:localhost,IP:127.0.0.1,IP:$SVCIP,IP:$NODEIP,IP:$HOSTIP"
  certificate kubelet ca "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODEIP,IP:127.0.0.1"
  certificate apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client DNS:apiserver
  certificate admin ca /O=system:masters/CN=kubernetes-admin DNS:admin
  certificate kcm ca /CN=system:kube-controller-manager DNS:kcm
  certificate scheduler ca /CN=system:kube-scheduler DNS:scheduler
  certificate proxy ca /CN=system:kube-proxy DNS:proxy
  certificate dns ca /O=system:serviceaccounts/CN=system:serviceaccount:kube-system:kube-dns DNS:dns
  certificate front-proxy-client front-proxy-ca /CN=front-proxy-client DNS:front-proxy-client
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  chmod 600 ./*.key
  popd >/dev/null
  local user
  for user in admin kubelet kcm scheduler proxy dns; do
    (umask 077; kubeconfig "$user" >"$D/$user.kubeconfig")
  done
  touch "$D/pki/.done"
}

kubeconfig() { # USER
  local ca crt key
  ca=$(base64 -w0 "$D/pki/ca.crt") crt=$(base64 -w0 "$D/pki/$1.crt") key=$(base64 -w0 "$D/pki/$1.key")
  cat <<K
apiVersion: v1
kind: Config
clusters: [{name: $NAME, cluster: {server: "$SERVER", certificate-authority-data: $ca}}]
users: [{name: $1, user: {client-certificate-data: $crt, client-key-data: $key}}]
contexts: [{name: $NAME, context: {cluster: $NAME, user: $1}}]
current-context: $NAME
K
}

# A request to the API server as the administrator; needs no kubectl.
api() { # PATH [CURL OPTIONS...]
  local p=$1
  shift
  curl -sf --max-time 10 --cacert "$D/pki/ca.crt" --cert "$D/pki/admin.crt" --key "$D/pki/admin.key" "$@" "$SERVER$p"
}
