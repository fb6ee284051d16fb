# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# Images in the node, without a container engine: containerd imports docker and OCI archives.

load_image() { # TAR...
  local f snapshotter present
  ! foreign || die "KUBECONFIG names a cluster of your own: push the images to a registry that it can reach"
  namespaced && pid_of containerd >/dev/null || die "no node is running: 'hack/cluster up' first"
  present=$(node_images)
  snapshotter=$(sed -n 's/^ *snapshotter = "\(.*\)"/\1/p' "$D/ctd/config.toml")
  for f in "$@"; do
    f=$(path "$f")
    [ -r "$f" ] || die "no such archive: $f"
    if is_present "$f" "$present"; then say "load-image: ${f##*/} is there already"; continue; fi
    ctr --address "$D/ctd/containerd.sock" -n k8s.io images import --snapshotter "$snapshotter" "$f"
  done
}
node_images() { # "NAME DIGEST" lines
  ctr --address "$D/ctd/containerd.sock" -n k8s.io images ls | awk 'NR > 1 { print $1, $3 }'
}
# Whether the archive holds one image, which the node has under the same name with the same digest. Only an OCI
# layout tells without being read to its end.
is_present() { # TAR NODE-IMAGES
  local image
  image=$(tar --occurrence=1 -xOf "$1" index.json 2>/dev/null | /usr/bin/python3 -c '
import json, sys
manifests = json.load(sys.stdin)["manifests"]
print(manifests[0]["annotations"]["io.containerd.image.name"], manifests[0]["digest"]) if len(manifests) == 1 else None' 2>/dev/null) || return 1
  [ -n "$image" ] && grep -qxF "$image" <<<"$2"
}

# The sandbox image, by hand: catatonit is a static binary that does just what a pause container does.
pause_image() {
  local t=$D/priv/pause id
  mkdir -p "$t/l"
  cp "$(command -v catatonit)" "$t/l/pause"
  tar -C "$t/l" --owner=0 --group=0 --mtime=@0 -cf "$t/layer.tar" pause
  id=$(sha256sum "$t/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause","-P"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(dpkg --print-architecture)" "$id" >"$t/config.json"
  printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >"$t/manifest.json"
  tar -C "$t" -cf "$t/pause.tar" config.json manifest.json layer.tar
  load_image "$t/pause.tar" >/dev/null
  rm -rf "$t"
}
