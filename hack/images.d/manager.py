# SPDX-License-Identifier: Apache-2.0
"""The manager's image: our programs, the shared libraries that they need, certificates and time zones. No shell."""
import os
import pathlib
import re
import subprocess

from archive import Layer, file_at
from debian import Failed

# The manager; the agentlet, which an init container copies from this image into an agent's pod; the pod's keeper.
REQUIRED = ('agentkube-manager', 'agentlet', 'bastion', 'keeper')
# programs for people's own machines, and the example
NOT_OURS = ('exo', 'exo-install', 'sample-controller')
AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'
ZONES = '/usr/share/zoneinfo'


def programs(folder):
    folder = pathlib.Path(folder)
    for name in REQUIRED:
        if not os.access(folder / name, os.X_OK):
            raise Failed(f'{folder / name} is missing: run make first')
    return [p for p in sorted(folder.iterdir())
            if p.name not in NOT_OURS and p.is_file() and os.access(p, os.X_OK) and p.open('rb').read(4) == b'\x7fELF']


def stripped(program, work):
    out = pathlib.Path(work) / f'stripped-{program.name}'
    subprocess.run(['strip', '--strip-all', '--enable-deterministic-archives', '-o', out, program], check=True)
    return out.read_bytes()


def libraries(paths):
    """The shared libraries of the programs and the loader, by the path under which they are looked for."""
    found = {}
    for path in paths:
        done = subprocess.run(['ldd', path], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if re.search(r'statically linked|not a dynamic executable', done.stdout):
            continue
        if done.returncode or 'not found' in done.stdout:
            raise Failed(f'ldd {path}: {done.stdout.strip()}')
        for name in re.findall(r'(?:=> )?(/\S+) \(0x', done.stdout):
            found[name] = os.path.realpath(name)
    if found:  # glibc loads this one when a thread ends early
        folder = os.path.dirname(next(n for n in found if '/libc.so' in n))
        found[f'{folder}/libgcc_s.so.1'] = os.path.realpath(f'{folder}/libgcc_s.so.1')
    return found


def surroundings(paths):
    """The layer below the programs: it changes with the machine's packages, not with our source."""
    layer = Layer()
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        layer.link(name, f'usr/{name}')
    for name, source in libraries(paths).items():
        layer.file(name, file_at(source), 0o755)
    if not os.path.exists(AUTHORITIES) or not os.path.isdir(ZONES):
        raise Failed(f'{AUTHORITIES} or {ZONES} is missing: hack/deps build')
    layer.file(AUTHORITIES, file_at(AUTHORITIES))
    layer.link('etc/ssl/cert.pem', 'certs/ca-certificates.crt')
    layer.link('usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt')
    zones(layer)
    layer.file('etc/passwd', b'root:x:0:0:root:/:/sbin/nologin\nagentkube:x:65532:65532:agentkube:/:/sbin/nologin\n')
    layer.file('etc/group', b'root:x:0:\nagentkube:x:65532:\n')
    layer.file('etc/nsswitch.conf', b'passwd: files\ngroup: files\nhosts: files dns\n')
    layer.directory('tmp', 0o1777)
    return layer


def zones(layer):
    for folder, names, files in os.walk(ZONES):
        names[:] = [n for n in names if n not in ('right', 'posix')]  # the same again, and with leap seconds
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path) and os.path.exists(path) and '/etc/' not in os.path.realpath(path):
                layer.link(path, os.readlink(path))
            elif os.path.isfile(path) and not os.path.islink(path):
                layer.file(path, file_at(path))


def layers(folder, work):
    found = programs(folder)
    top = Layer()
    for program in found:
        top.file(f'usr/local/bin/{program.name}', stripped(program, work), 0o755)
    return [surroundings(found), top]
