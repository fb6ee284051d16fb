# SPDX-License-Identifier: Apache-2.0
"""Image layers and archives: the same content always gives the same bytes.

An archive is an OCI image layout that also carries docker's manifest.json: docker load, podman load,
ctr images import and skopeo all read it.
"""
import collections
import hashlib
import io
import json
import os
import posixpath
import stat
import tarfile

EPOCH = int(os.environ.get('SOURCE_DATE_EPOCH', '0'))
Blob = collections.namedtuple('Blob', 'path digest size')


class Layer:
    """Files by path. Data is bytes, or a Path to copy from. Parent directories come by themselves."""

    def __init__(self):
        self.members = {}

    def add(self, path, kind, mode, owner=(0, 0), data=b'', target=''):
        path = self._real(path.strip('/'))
        parent = posixpath.dirname(path)
        if parent and parent not in self.members:
            self.add(parent, tarfile.DIRTYPE, 0o755)
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname, info.mtime = kind, mode & 0o1777, target, EPOCH
        info.uid, info.gid = owner
        self.members[path] = (info, data)

    def _real(self, path):
        """Debian's packages still name /lib and /bin, which are links into /usr."""
        first, _, rest = path.partition('/')
        link = self.members.get(first)
        return f'{link[0].linkname}/{rest}' if rest and link and link[0].issym() else path

    def directory(self, path, mode=0o755, owner=(0, 0)):
        self.add(path, tarfile.DIRTYPE, mode, owner)

    def file(self, path, data, mode=0o644, owner=(0, 0)):
        self.add(path, tarfile.REGTYPE, mode, owner, data)

    def link(self, path, target):
        self.add(path, tarfile.SYMTYPE, 0o777, target=target)

    def tree(self, path, source):
        """Everything below the directory source, as root's; who may execute a file stays."""
        for folder, names, files in os.walk(source):
            here = posixpath.normpath(posixpath.join(path, os.path.relpath(folder, source)))
            self.directory(here)
            for name in sorted(names + files):
                full = os.path.join(folder, name)
                mode = os.lstat(full).st_mode
                if stat.S_ISLNK(mode):
                    self.link(f'{here}/{name}', os.readlink(full))
                elif stat.S_ISREG(mode):
                    self.file(f'{here}/{name}', _Path(full), 0o755 if mode & 0o100 else 0o644)

    def write(self, path):
        """Writes the layer as a tar file and returns it as a Blob."""
        written = {}
        with tarfile.open(path, 'w', format=tarfile.GNU_FORMAT) as tar:
            for name in sorted(self.members):
                info, data = self.members[name]
                if not info.isreg():
                    tar.addfile(info)
                elif isinstance(data, bytes):
                    same = written.setdefault((data, info.mode, info.uid, info.gid), name)
                    if same != name and len(data) > 4096:  # a hard link, as most such files are in their packages
                        info.type, info.linkname = tarfile.LNKTYPE, same
                        tar.addfile(info)
                        continue
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                else:
                    info.size = os.path.getsize(data)
                    with open(data, 'rb') as source:
                        tar.addfile(info, source)
        return blob(path)


class _Path(str):
    """Tells the name of a file from its contents."""


file_at = _Path


def blob(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    return Blob(str(path), digest.hexdigest(), os.path.getsize(path))


def image_config(architecture, settings, layers):
    config = {
        'architecture': architecture, 'os': 'linux',
        'created': f'{_utc(EPOCH)}',
        'config': settings,
        'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{layer.digest}' for layer in layers]},
        'history': [{'created': _utc(EPOCH), 'created_by': 'hack/images'} for _ in layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def _utc(seconds):
    import datetime
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def write_archive(path, name, config, layers):
    """One image with its name. The file appears under its path only when it is complete."""
    config_digest = hashlib.sha256(config).hexdigest()
    manifest = json.dumps({
        'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
        'config': {'mediaType': 'application/vnd.oci.image.config.v1+json',
                   'digest': f'sha256:{config_digest}', 'size': len(config)},
        'layers': [{'mediaType': 'application/vnd.oci.image.layer.v1.tar',
                    'digest': f'sha256:{layer.digest}', 'size': layer.size} for layer in layers],
    }).encode()
    manifest_digest = hashlib.sha256(manifest).hexdigest()
    index = {
        'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json',
        'manifests': [{'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                       'digest': f'sha256:{manifest_digest}', 'size': len(manifest),
                       'annotations': {'io.containerd.image.name': name,
                                       'org.opencontainers.image.ref.name': name.rpartition(':')[2]}}],
    }
    docker = [{'Config': f'blobs/sha256/{config_digest}',
               # docker shows names of its own registry without the registry
               'RepoTags': [name.removeprefix('docker.io/')],
               'Layers': [f'blobs/sha256/{layer.digest}' for layer in layers]}]
    small = {
        'oci-layout': b'{"imageLayoutVersion":"1.0.0"}',
        'index.json': json.dumps(index).encode(),
        'manifest.json': json.dumps(docker).encode(),
        f'blobs/sha256/{config_digest}': config,
        f'blobs/sha256/{manifest_digest}': manifest,
    }
    part = f'{path}.part{os.getpid()}'
    try:
        with tarfile.open(part, 'w', format=tarfile.GNU_FORMAT) as tar:
            for folder in ('blobs', 'blobs/sha256'):
                info = tarfile.TarInfo(folder)
                info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
                tar.addfile(info)
            for member, data in small.items():
                tar.addfile(_member(member, len(data)), io.BytesIO(data))
            for layer in {layer.digest: layer for layer in layers}.values():
                with open(layer.path, 'rb') as source:
                    tar.addfile(_member(f'blobs/sha256/{layer.digest}', layer.size), source)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _member(name, size):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, EPOCH
    return info
